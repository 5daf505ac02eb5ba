/* The loops, for numbers of type `real`; _fused.h includes this once for each type.

   Arrays are in C order, and no two of them overlap, unless a comment says so. Equations and
   shapes are those of the functions of NumPy of the same name. */

/* Ratios of belief propagation: ratios.py. Senders are in rows or, `down`, in columns. */

CLONES static void NAME(odds_off)(size_t size, const real *RESTRICT t, real limit, real *RESTRICT x)
{
    SIMD for (size_t i = 0; i < size; i++) {
        real y = t[i] < -limit ? -limit : t[i];
        x[i] = NAME(exp)(-(y > limit ? limit : y));
    }
}

CLONES static void NAME(within)(size_t size, real *RESTRICT g, const real *RESTRICT t, real limit)
{
    SIMD for (size_t i = 0; i < size; i++) g[i] *= FABS(t[i]) > limit ? (real)0 : (real)1;
}

#define RATIOS(RHO)                                                                            \
    SIMD for (size_t j = 0; j < k; j++) {                                                      \
        real rho = RHO;                                                                        \
        r[j] = (e[j] + rho) / (rho + 1);                                                       \
    }

CLONES static void NAME(pair_ratios)(size_t n, size_t m, size_t k, int down,
                                     const real *RESTRICT x, const real *RESTRICT back,
                                     const real *RESTRICT E, real *RESTRICT r)
{
    for (size_t s = 0; s < n; s++, x += down ? k : m)
        for (size_t i = 0; i < m; i++, r += k) {
            const real *e = E + i * k, odds = x[down ? 0 : i];
            if (down && back) RATIOS(back[j] * x[j])
            else if (down) RATIOS(x[j])
            else if (back) RATIOS(back[j] * odds)
            else RATIOS(odds)
            if (back) back += k;
        }
}

/* Of the class node, (c, n, k): the odds x are (n, k). */
CLONES static void NAME(class_ratios)(size_t c, size_t n, size_t k, const real *RESTRICT x,
                                      const real *RESTRICT E, real *RESTRICT r)
{
    for (size_t y = 0; y < c; y++)
        for (size_t s = 0; s < n; s++, r += k) {
            const real *e = E + y * k, *odds = x + s * k;
            RATIOS(odds[j])
        }
}

/* Sums of logarithms over the second of three axes (n, m, k). */
CLONES static void NAME(logs_of_columns)(size_t n, size_t m, size_t k, size_t n_factors,
                                         const real *RESTRICT r, real *RESTRICT out)
{
    real product[TILE], sum[TILE];
    for (size_t s = 0; s < n; s++, r += m * k, out += k)
        for (size_t start = 0; start < k; start += TILE) {
            size_t width = k - start < TILE ? k - start : TILE;
            for (size_t j = 0; j < width; j++) sum[j] = 0;
            for (size_t i = 0; i < m;) {
                size_t end = m - i < n_factors ? m : i + n_factors;
                for (size_t j = 0; j < width; j++) product[j] = r[i * k + start + j];
                while (++i < end) {
                    const real *row = r + i * k + start;
                    SIMD for (size_t j = 0; j < width; j++) product[j] *= row[j];
                }
                SIMD for (size_t j = 0; j < width; j++) sum[j] += NAME(log)(product[j]);
            }
            memcpy(out + start, sum, width * sizeof(real));
        }
}

/* Sums of logarithms over the last of two axes (n, k). */
CLONES static void NAME(logs_of_rows)(size_t n, size_t k, size_t n_factors,
                                      const real *RESTRICT r, real *RESTRICT out)
{
    for (size_t s = 0; s < n; s++, r += k) {
        real sum = 0;
        for (size_t j = 0; j < k;) {
            real product[LANES];
            for (size_t l = 0; l < LANES; l++) product[l] = 1;
            for (size_t f = 0; f < n_factors && j < k; f++, j += LANES) {
                size_t width = k - j < LANES ? k - j : LANES;
                if (width == LANES) {
                    SIMD for (size_t l = 0; l < LANES; l++) product[l] *= r[j + l];
                } else {
                    for (size_t l = 0; l < width; l++) product[l] *= r[j + l];
                }
            }
            SUM_OF(sum) for (size_t l = 0; l < LANES; l++) sum += NAME(log)(product[l]);
        }
        out[s] = sum;
    }
}

#define ADJOINT(G, RHO, STORE)                                                                 \
    for (size_t j = 0; j < k; j++) {                                                           \
        real g = (G) / ((RHO) + 1), p = g * e[j] / r[j], difference = g - p;                   \
        w[j] += p;                                                                             \
        STORE;                                                                                 \
    }

/* g_field is (n, k), or down (n, m); g_rho may be g_state, and is missing where `back` is.
   g_W and g_t begin with zeros. */
CLONES static void NAME(pair_adjoint)(size_t n, size_t m, size_t k, int down,
                                      const real *RESTRICT g_field, const real *g_state,
                                      const real *RESTRICT x, const real *RESTRICT back,
                                      const real *RESTRICT r, const real *RESTRICT E,
                                      real *g_rho, real *RESTRICT g_W, real *RESTRICT g_t)
{
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < m; i++, r += k) {
            const real *e = E + i * k, field = g_field[down ? i : 0], odds = x[down ? 0 : i];
            real *w = g_W + i * k, sum = 0;
#define DOWN(G, RHO, STORE) SIMD ADJOINT(G, RHO, g_t[j] += difference; STORE)
#define UP(G, RHO, STORE) SUM_OF(sum) ADJOINT(G, RHO, sum += difference; STORE)
            if (down && back && g_state)
                DOWN(g_state[j] + field, back[j] * x[j], g_rho[j] = difference)
            else if (down && back)
                DOWN(field, back[j] * x[j], g_rho[j] = difference)
            else if (down && g_state)
                DOWN(g_state[j] + field, x[j], )
            else if (down)
                DOWN(field, x[j], )
            else if (back && g_state)
                UP(g_state[j] + g_field[j], back[j] * odds, g_rho[j] = difference)
            else if (back)
                UP(g_field[j], back[j] * odds, g_rho[j] = difference)
            else if (g_state)
                UP(g_state[j] + g_field[j], odds, )
            else
                UP(g_field[j], odds, )
            if (!down) g_t[i] = sum;
            if (g_state) g_state += k;
            if (back) {
                back += k;
                g_rho += k;
            }
        }
        x += down ? k : m;
        g_field += down ? m : k;
        g_t += down ? k : m;
    }
#undef DOWN
#undef UP
}

/* g_field is (c, n); g_W (c, k) and g_rho (n, k) begin with zeros. */
CLONES static void NAME(class_adjoint)(size_t c, size_t n, size_t k,
                                       const real *RESTRICT g_field,
                                       const real *RESTRICT g_state, const real *RESTRICT x,
                                       const real *RESTRICT r, const real *RESTRICT E,
                                       real *RESTRICT g_rho, real *RESTRICT g_W)
{
    for (size_t y = 0; y < c; y++)
        for (size_t s = 0; s < n; s++, r += k) {
            const real *e = E + y * k, *odds = x + s * k;
            real *w = g_W + y * k, *rho = g_rho + s * k, field = g_field[y * n + s];
            if (g_state) {
                SIMD ADJOINT(g_state[j] + field, odds[j], rho[j] += difference)
                g_state += k;
            } else {
                SIMD ADJOINT(field, odds[j], rho[j] += difference)
            }
        }
}

/* P is (c, n), tables (c, n, k); sums (n, k) begin with zeros. */
CLONES static void NAME(class_shares)(size_t c, size_t n, size_t k, const real *RESTRICT P,
                                      const real *RESTRICT back, const real *RESTRICT E,
                                      real *RESTRICT shares, real *RESTRICT total,
                                      real *RESTRICT weighted_total)
{
    for (size_t y = 0; y < c; y++)
        for (size_t s = 0; s < n; s++, back += k, shares += k) {
            const real *e = E + y * k;
            real *sum = total + s * k, *weighted_sum = weighted_total + s * k, p = P[y * n + s];
            SIMD for (size_t j = 0; j < k; j++) {
                shares[j] = p / back[j];
                sum[j] += shares[j];
                weighted_sum[j] += shares[j] * e[j];
            }
        }
}

/* G is (n, k), g_u (c, n); g_W (c, k) begins with zeros. */
CLONES static void NAME(class_shares_adjoint)(
    size_t c, size_t n, size_t k, const real *RESTRICT G, const real *RESTRICT shares,
    const real *RESTRICT E, const real *RESTRICT total, const real *RESTRICT weighted_total,
    real *RESTRICT g_back, real *RESTRICT g_W, real *RESTRICT g_u)
{
    for (size_t y = 0; y < c; y++)
        for (size_t s = 0; s < n; s++, shares += k, g_back += k) {
            const real *g = G + s * k, *sum = total + s * k, *w_sum = weighted_total + s * k;
            const real *e = E + y * k;
            real *w = g_W + y * k, of_class = 0;
            SUM_OF(of_class) for (size_t j = 0; j < k; j++) {
                real alpha = shares[j] * e[j] * (g[j] / w_sum[j]);
                real difference = shares[j] * (g[j] / sum[j]) - alpha;
                w[j] += alpha;
                g_back[j] = difference;
                of_class += difference;
            }
            g_u[y * n + s] = -of_class;
        }
}

/* Short rows of classes, (n, k): probabilities.py. LANES rows at a time are side by side. */

ALWAYS_INLINE void NAME(side_by_side)(size_t n, size_t k, const real *x, real *columns)
{
    for (size_t l = 0; l < LANES; l++) {
        const real *row = x + (l < n ? l : n - 1) * k;
        for (size_t j = 0; j < k; j++) columns[j * LANES + l] = row[j];
    }
}

ALWAYS_INLINE void NAME(one_by_one)(size_t n, size_t k, const real *columns, real *x)
{
    for (size_t l = 0; l < n && l < LANES; l++, x += k)
        for (size_t j = 0; j < k; j++) x[j] = columns[j * LANES + l];
}

ALWAYS_INLINE void NAME(largest)(size_t k, const real *columns, real *top)
{
    for (size_t l = 0; l < LANES; l++) top[l] = columns[l];
    for (size_t j = 1; j < k; j++) {
        const real *x = columns + j * LANES;
        SIMD for (size_t l = 0; l < LANES; l++) top[l] = x[l] > top[l] || x[l] != x[l] ? x[l] : top[l];
    }
}

#define GROUPS for (size_t s = 0; s < n; s += LANES, x += LANES * k)

CLONES static void NAME(row_max)(size_t n, size_t k, const real *RESTRICT x, real *RESTRICT out)
{
    real columns[LONGEST * LANES], top[LANES];
    GROUPS {
        NAME(side_by_side)(n - s, k, x, columns);
        NAME(largest)(k, columns, top);
        NAME(one_by_one)(n - s, 1, top, out + s);
    }
}

CLONES static void NAME(exp_below)(size_t n, size_t k, real *RESTRICT x)
{
    real columns[LONGEST * LANES], top[LANES];
    GROUPS {
        NAME(side_by_side)(n - s, k, x, columns);
        NAME(largest)(k, columns, top);
        for (size_t j = 0; j < k; j++) {
            real *column = columns + j * LANES;
            SIMD for (size_t l = 0; l < LANES; l++) column[l] = NAME(exp)(column[l] - top[l]);
        }
        NAME(one_by_one)(n - s, k, columns, x);
    }
}

CLONES static void NAME(softmax)(size_t n, size_t k, int logs, const real *RESTRICT x,
                                 real *RESTRICT out)
{
    real columns[LONGEST * LANES], top[LANES], sum[LANES];
    GROUPS {
        NAME(side_by_side)(n - s, k, x, columns);
        NAME(largest)(k, columns, top);
        for (size_t l = 0; l < LANES; l++) sum[l] = 0;
        for (size_t j = 0; j < k; j++) {
            real *column = columns + j * LANES;
            SIMD for (size_t l = 0; l < LANES; l++) {
                real below = column[l] - top[l], e = NAME(exp)(below);
                column[l] = logs ? below : e;
                sum[l] += e;
            }
        }
        SIMD for (size_t l = 0; l < LANES; l++) sum[l] = logs ? NAME(log)(sum[l]) : 1 / sum[l];
        for (size_t j = 0; j < k; j++) {
            real *column = columns + j * LANES;
            SIMD for (size_t l = 0; l < LANES; l++)
                column[l] = logs ? column[l] - sum[l] : column[l] * sum[l];
        }
        NAME(one_by_one)(n - s, k, columns, out + s * k);
    }
}

#undef GROUPS

/* Messages between classes: class_messages.py. */

CLONES static void NAME(log_above)(size_t size, real *RESTRICT x, real smallest,
                                   real *RESTRICT out)
{
    SIMD for (size_t i = 0; i < size; i++) {
        x[i] = x[i] < smallest ? smallest : x[i];
        out[i] = NAME(log)(x[i]);
    }
}

/* Tables A are (k, k), or `each` row has one. */
CLONES static void NAME(max_plus)(size_t n, size_t k, int each, const real *RESTRICT x,
                                  const real *RESTRICT A, real *RESTRICT out)
{
    for (size_t s = 0; s < n; s++, x += k, out += k, A += each ? k * k : 0) {
        SIMD for (size_t j = 0; j < k; j++) out[j] = x[0] + A[j];
        for (size_t i = 1; i < k; i++) {
            const real *row = A + i * k;
            SIMD for (size_t j = 0; j < k; j++) {
                real sum = x[i] + row[j];
                out[j] = sum > out[j] || sum != sum ? sum : out[j];
            }
        }
    }
}

CLONES static void NAME(sigmoid)(size_t size, const real *RESTRICT x, real *RESTRICT out)
{
    SIMD for (size_t i = 0; i < size; i++) out[i] = 1 / (1 + NAME(exp)(-x[i]));
}

CLONES static void NAME(sigmoid_of_sum)(size_t n, size_t k, real *RESTRICT x,
                                        const real *RESTRICT b)
{
    for (size_t s = 0; s < n; s++, x += k) {
        SIMD for (size_t j = 0; j < k; j++) x[j] = 1 / (1 + NAME(exp)(-(x[j] + b[j])));
    }
}

CLONES static void NAME(sigmoid_adjoint)(size_t size, real *RESTRICT g, const real *RESTRICT q)
{
    SIMD for (size_t i = 0; i < size; i++) g[i] = g[i] * q[i] * (1 - q[i]);
}

/* NMF: nmf_layers.py, kullback_leibler.py. */

/* h has `each` row, or one; out may be h. */
CLONES static void NAME(grown)(size_t n, size_t k, int each, const real *h,
                               const real *RESTRICT factor, real smallest, real *out)
{
    for (size_t s = 0; s < n; s++, factor += k, out += k, h += each ? k : 0) {
        SIMD for (size_t j = 0; j < k; j++) out[j] = h[j] * factor[j] + smallest;
    }
}

CLONES static void NAME(fraction)(size_t size, const real *RESTRICT num, real *RESTRICT den,
                                  real floor, real *RESTRICT out)
{
    SIMD for (size_t i = 0; i < size; i++) {
        den[i] += floor;
        out[i] = num[i] / den[i];
    }
}

/* A row (m) times a matrix (m, k), eight of its rows at a time. */
ALWAYS_INLINE void NAME(row_times)(size_t m, size_t k, const real *RESTRICT x,
                                   const real *RESTRICT M, real *RESTRICT out)
{
    for (size_t j = 0; j < k; j++) out[j] = 0;
    for (; m >= 8; m -= 8, x += 8, M += 8 * k) {
        SIMD for (size_t j = 0; j < k; j++) {
            const real *a = M + j, *b = a + 4 * k;
            out[j] += (x[0] * a[0] + x[1] * a[k] + x[2] * a[2 * k] + x[3] * a[3 * k])
                      + (x[4] * b[0] + x[5] * b[k] + x[6] * b[2 * k] + x[7] * b[3 * k]);
        }
    }
    for (; m; m--, x++, M += k) {
        SIMD for (size_t j = 0; j < k; j++) out[j] += x[0] * M[j];
    }
}

/* X (k) and h (m) are one row, W is (m, k) and P (k, m). */
CLONES static void NAME(updated_row)(size_t m, size_t k, const real *RESTRICT X,
                                     const real *RESTRICT h, const real *RESTRICT W,
                                     const real *RESTRICT P, real floor, int square,
                                     real smallest, real *RESTRICT v, real *RESTRICT out)
{
    NAME(row_times)(m, k, h, W, v);
    SIMD for (size_t j = 0; j < k; j++) v[j] = X[j] / (-floor - v[j]);
    NAME(row_times)(k, m, v, P, out);
    SIMD for (size_t i = 0; i < m; i++)
        out[i] = h[i] * (square ? out[i] * out[i] : out[i]) + smallest;
}

CLONES static void NAME(through_weights)(size_t size, real *RESTRICT g, const real *RESTRICT A,
                                         const real *RESTRICT v)
{
    SIMD for (size_t i = 0; i < size; i++) g[i] = g[i] * A[i] / v[i];
}

/* of_den begins with zeros. */
CLONES static void NAME(numerator_adjoint)(size_t n, size_t k, const real *RESTRICT x,
                                           const real *RESTRICT h, const real *RESTRICT den,
                                           const real *RESTRICT ratio, real *RESTRICT N,
                                           real *RESTRICT of_den)
{
    for (size_t s = 0; s < n; s++, x += k, h += k, ratio += k, N += k) {
        SIMD for (size_t j = 0; j < k; j++) {
            N[j] = x[j] * h[j] / den[j];
            of_den[j] += N[j] * ratio[j];
        }
    }
}

/* Masks of two groups: outputs.py. Rows of X are `stride` elements apart. */

CLONES static void NAME(masked)(size_t n, size_t k, size_t stride, real *RESTRICT y,
                                const real *RESTRICT other, const real *RESTRICT X, real floor)
{
    for (size_t s = 0; s < n; s++, y += k, other += k, X += stride) {
        SIMD for (size_t j = 0; j < k; j++) y[j] = y[j] / (y[j] + other[j] + floor) * X[j];
    }
}

CLONES static void NAME(mask_forward)(size_t n, size_t k, size_t stride,
                                      const real *RESTRICT own, const real *RESTRICT other,
                                      const real *RESTRICT X, real floor, real *RESTRICT d,
                                      real *RESTRICT X_over_d, real *RESTRICT y)
{
    for (size_t s = 0; s < n; s++, X += stride) {
        SIMD for (size_t j = 0; j < k; j++) {
            d[j] = (own[j] < floor ? floor : own[j]) + other[j];
            X_over_d[j] = X[j] / d[j];
            y[j] = own[j] * X_over_d[j];
        }
        own += k;
        other += k;
        d += k;
        X_over_d += k;
        y += k;
    }
}

CLONES static void NAME(mask_adjoint)(size_t size, const real *RESTRICT x,
                                      const real *RESTRICT X_over_d, const real *RESTRICT own,
                                      const real *RESTRICT d, real *RESTRICT g_own,
                                      real *RESTRICT g_other)
{
    SIMD for (size_t i = 0; i < size; i++) {
        real direct = x[i] * X_over_d[i];
        g_other[i] = -(direct * own[i] / d[i]);
        g_own[i] = direct + g_other[i];
    }
}

/* Updates: moves.py. */

CLONES static double NAME(log_gradient)(size_t size, const real *RESTRICT w, real *RESTRICT g)
{
    double total = 0;
    while (size) {
        size_t n = size < TILE ? size : TILE;
        real sum = 0;
        SUM_OF(sum) for (size_t i = 0; i < n; i++) {
            g[i] *= w[i];
            sum += g[i] * g[i];
        }
        total += sum;
        size -= n;
        w += n;
        g += n;
    }
    return total;
}

#define ADAM                                                                                   \
    m[i] = m[i] * b1 + g[i];                                                                   \
    s[i] = s[i] * b2 + g[i] * g[i];                                                            \
    step = m[i] / ((real)SQRT(s[i]) + floor) * -rate;

CLONES static void NAME(adam)(size_t size, real *RESTRICT w, const real *RESTRICT g,
                              real *RESTRICT m, real *RESTRICT s, real b1, real b2, real floor,
                              real rate)
{
    SIMD for (size_t i = 0; i < size; i++) {
        real step;
        ADAM
        w[i] += step;
    }
}

/* The limit is an argument: GCC does not vectorise a loop with exp of a constant. */
CLONES static void NAME(exponentiated)(size_t size, real *RESTRICT w, const real *RESTRICT g,
                                       real *RESTRICT m, real *RESTRICT s, real b1, real b2,
                                       real floor, real rate, real limit, real smallest)
{
    SIMD for (size_t i = 0; i < size; i++) {
        real step;
        ADAM
        step = step < -limit ? -limit : step;
        w[i] = w[i] * NAME(exp)(step > limit ? limit : step) + smallest;
    }
}

CLONES static void NAME(multiplicative)(size_t size, real *RESTRICT w, const real *RESTRICT pos,
                                        const real *RESTRICT neg, real floor, int root,
                                        real largest, real smallest)
{
    SIMD for (size_t i = 0; i < size; i++) {
        real ratio = (neg[i] + floor) / (pos[i] + floor);
        real grown = w[i] * (root ? (real)SQRT(ratio) : ratio);
        w[i] = (grown > largest ? largest : grown) + smallest;
    }
}
