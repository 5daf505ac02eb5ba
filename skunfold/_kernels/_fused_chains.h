/* Passes along chains, passes.py, for numbers of type `real`; _fused.h includes this once for each.

   Columns hold the rows of X; an array has k elements of each, which are n apart. LANES columns
   side by side are a tile, whose elements are one after the other; `left` columns are left, and
   of fewer than LANES the last one is repeated. `width` is k up to a multiple of FOUR, and what
   is in between is zero. */

#define FOUR 4

/* A table (k, k), or its transpose, with zeros up to `width` rows and columns. */
ALWAYS_INLINE void NAME(padded)(size_t k, size_t width, int transposed, const real *A, real *out)
{
    for (size_t b = 0; b < width; b++)
        for (size_t c = 0; c < width; c++)
            out[b * width + c] = b < k && c < k ? A[transposed ? c * k + b : b * k + c] : 0;
}

/* Columns of a table times those of a tile: y[c] = sum over b of A[b, c] x[b]. */
ALWAYS_INLINE void NAME(mixed)(size_t width, const real *RESTRICT A, const real *RESTRICT x,
                               real *RESTRICT y)
{
#define OF_COLUMN(c) x0[l] * a0[c] + x1[l] * a1[c] + x2[l] * a2[c] + x3[l] * a3[c]
    memset(y, 0, width * LANES * sizeof(real));
    for (size_t c = 0; c < width; c += FOUR, y += FOUR * LANES)
        for (size_t b = 0; b < width; b += FOUR) {
            const real *a0 = A + b * width + c, *a1 = a0 + width, *a2 = a1 + width;
            const real *a3 = a2 + width, *x0 = x + b * LANES, *x1 = x0 + LANES;
            const real *x2 = x1 + LANES, *x3 = x2 + LANES;
            SIMD for (size_t l = 0; l < LANES; l++) {
                y[l] += OF_COLUMN(0);
                y[LANES + l] += OF_COLUMN(1);
                y[2 * LANES + l] += OF_COLUMN(2);
                y[3 * LANES + l] += OF_COLUMN(3);
            }
        }
#undef OF_COLUMN
}

/* The largest of positive numbers of each column; by fours, so that few wait for the last. */
ALWAYS_INLINE void NAME(largest_positive)(size_t width, const real *x, real *top)
{
    for (size_t l = 0; l < LANES; l++) top[l] = 0;
    for (size_t j = 0; j < width; j += FOUR, x += FOUR * LANES)
        SIMD for (size_t l = 0; l < LANES; l++) {
            real a = x[l] > x[LANES + l] ? x[l] : x[LANES + l];
            real b = x[2 * LANES + l] > x[3 * LANES + l] ? x[2 * LANES + l] : x[3 * LANES + l];
            a = a > b ? a : b;
            top[l] = a > top[l] ? a : top[l];
        }
}

/* One of k elements of columns, to a tile and back. */
ALWAYS_INLINE void NAME(to_tile)(size_t left, const real *x, real *tile)
{
    if (left >= LANES) memcpy(tile, x, LANES * sizeof(real));
    else
        for (size_t l = 0; l < LANES; l++) tile[l] = x[l < left ? l : left - 1];
}

ALWAYS_INLINE void NAME(from_tile)(size_t left, const real *tile, real *x)
{
    if (left >= LANES) memcpy(x, tile, LANES * sizeof(real));
    else
        for (size_t l = 0; l < left; l++) x[l] = tile[l];
}

/* Rows of (n, k) in some order, to a tile and back. */
ALWAYS_INLINE void NAME(gathered)(size_t left, size_t k, const ptrdiff_t *order, const real *x,
                                  real *tile)
{
    for (size_t l = 0; l < LANES; l++) {
        const real *row = x + order[l < left ? l : left - 1] * (ptrdiff_t)k;
        for (size_t j = 0; j < k; j++) tile[j * LANES + l] = row[j];
    }
}

ALWAYS_INLINE void NAME(scattered)(size_t left, size_t k, const ptrdiff_t *order,
                                   const real *tile, real *x)
{
    for (size_t l = 0; l < left && l < LANES; l++) {
        real *row = x + order[l] * (ptrdiff_t)k;
        for (size_t j = 0; j < k; j++) row[j] = tile[j * LANES + l];
    }
}

/* 1 for each column whose link carries a message, 0 for the others. */
ALWAYS_INLINE void NAME(open_links)(size_t left, const char *linked, real *open)
{
    for (size_t l = 0; l < LANES; l++) open[l] = linked[l < left ? l : left - 1] ? 1 : 0;
}

/* Set columns to zero, but some from `begin` on. */
ALWAYS_INLINE void NAME(only)(size_t n, size_t k, size_t begin, size_t count, real *x)
{
    for (size_t j = 0; j < k; j++, x += n) {
        memset(x, 0, begin * sizeof(real));
        memset(x + begin + count, 0, (n - begin - count) * sizeof(real));
    }
}

/* exp(field - its largest), at least `smallest`, in columns; 0 if a field is not finite. */
ALWAYS_INLINE int NAME(exponentials)(size_t n, size_t k, const ptrdiff_t *order,
                                     const real *field, real smallest, real *tile, real *out,
                                     real *peaks)
{
    real top[LANES], sum[LANES];
    for (size_t t = 0; t < n; t += LANES) {
        NAME(gathered)(n - t, k, order + t, field, tile);
        NAME(largest)(k, tile, top);
        NAME(from_tile)(n - t, top, peaks + t);
        for (size_t l = 0; l < LANES; l++) sum[l] = 0;
        for (size_t j = 0; j < k; j++) {
            real *x = tile + j * LANES;
            SIMD for (size_t l = 0; l < LANES; l++) {
                real e = NAME(exp)(x[l] - top[l]);
                sum[l] += e;
                x[l] = e < smallest ? smallest : e;
            }
            NAME(from_tile)(n - t, x, out + j * n + t);
        }
        for (size_t l = 0; l < LANES; l++)
            if (sum[l] != sum[l]) return 0;
    }
    return 1;
}

/* A tile of messages: x, which is exp(field) times the message that arrived, over its largest
   `top`; its sums over the table; and these as messages to the receivers, or 1. */
ALWAYS_INLINE void NAME(sent)(size_t left, size_t n, size_t k, size_t width, const real *A,
                              const char *linked, const real *of_field, const real *arrived,
                              real *tile, real *top, real *x, real *sums, real *messages)
{
    real other[LANES], out[LONGEST * LANES];
    for (size_t j = 0; j < k; j++) {
        real *column = tile + j * LANES;
        NAME(to_tile)(left, of_field + j * n, column);
        NAME(to_tile)(left, arrived + j * n, other);
        SIMD for (size_t l = 0; l < LANES; l++) column[l] *= other[l];
    }
    NAME(largest_positive)(width, tile, top);
    for (size_t l = 0; l < LANES; l++) other[l] = 1 / top[l];
    for (size_t j = 0; j < k; j++) {
        real *column = tile + j * LANES;
        SIMD for (size_t l = 0; l < LANES; l++) column[l] *= other[l];
        if (x) NAME(from_tile)(left, column, x + j * n);
    }
    NAME(mixed)(width, A, tile, out);
    NAME(open_links)(left, linked, other);
    for (size_t j = 0; j < k; j++) {
        real *column = out + j * LANES;
        if (sums) NAME(from_tile)(left, column, sums + j * n);
        SIMD for (size_t l = 0; l < LANES; l++) column[l] = other[l] != 0 ? column[l] : 1;
        NAME(from_tile)(left, column, messages + j * n);
    }
}

/* The gradient by a tile of sums, d, and by the exponents of the senders, which is added to that
   of their fields, and is or, `more`, is added to that of what had arrived. */
ALWAYS_INLINE void NAME(sent_adjoint)(size_t left, size_t n, size_t k, size_t width,
                                      const real *A, const char *linked, int more,
                                      const real *g, const real *x, const real *sums, real *tile,
                                      real *d, real *g_field, real *g_arrived)
{
    real open[LANES], other[LANES], out[LONGEST * LANES];
    NAME(open_links)(left, linked, open);
    for (size_t j = 0; j < k; j++) {
        real *column = tile + j * LANES;
        NAME(to_tile)(left, g + j * n, column);
        NAME(to_tile)(left, sums + j * n, other);
        SIMD for (size_t l = 0; l < LANES; l++)
            column[l] = open[l] != 0 ? column[l] / other[l] : 0;
        NAME(from_tile)(left, column, d + j * n);
    }
    NAME(mixed)(width, A, tile, out);
    for (size_t j = 0; j < k; j++) {
        real *column = out + j * LANES;
        NAME(to_tile)(left, x + j * n, other);
        SIMD for (size_t l = 0; l < LANES; l++) column[l] *= other[l];
        NAME(to_tile)(left, g_field + j * n, other);
        SIMD for (size_t l = 0; l < LANES; l++) other[l] += column[l];
        NAME(from_tile)(left, other, g_field + j * n);
        if (more) {
            NAME(to_tile)(left, g_arrived + j * n, other);
            SIMD for (size_t l = 0; l < LANES; l++) column[l] += other[l];
        }
        NAME(from_tile)(left, column, g_arrived + j * n);
    }
}

/* A step of one of the ways: `count` columns of senders and of receivers, and their place on the
   tapes. */
#define STEP(i)                                                                                \
    const ptrdiff_t *step = steps + 3 * (way ? n_steps - 1 - (i) : (i));                       \
    const size_t from = step[way], to = step[1 - way], count = step[2];                        \
    const size_t n_tiles = (count + LANES - 1) / LANES;                                        \
    const size_t place = (way * n_rounds + ((i) < n_rounds ? (i) : n_rounds - 1)) * k * n;

/* Messages are products of exponentials here, not sums of logarithms: one exp and one log do for
   all rounds then. Exponentials of fields are raised to `smallest`. A table that is not from
   `limit` to 1, or a field that is not finite, is not taken: 0 is returned. So products of
   exponentials and messages, which are not below the smallest element of the table, are normal
   numbers, and what was raised adds no more than rounding does. x and sums may be missing;
   `work` is (3, k, n). */
CLONES static int NAME(passed)(size_t n, size_t k, size_t n_rounds, size_t n_steps,
                               const ptrdiff_t *order, const ptrdiff_t *steps,
                               const char *linked, const real *field, const real *table,
                               real *work, real *totals, real *x, real *sums, real *peaks)
{
    real A[LONGEST * LONGEST], tile[LONGEST * LANES], top[LANES];
    real *of_field = work, *messages = work + k * n, *product = messages + k * n;
    const size_t width = (k + FOUR - 1) / FOUR * FOUR;
    const int own = n_rounds == n_steps; /* whether each step has its place on the tapes */
    const real root = (real)SQRT(SQRT(TINY)), limit = 4 * root, smallest = 16 * root * root * root;
    for (size_t i = 0; i < k * k; i++)
        if (!(table[i] >= limit && table[i] <= 1)) return 0;
    memset(tile, 0, width * LANES * sizeof(real));
    if (!NAME(exponentials)(n, k, order, field, smallest, tile, of_field, peaks)) return 0;
    for (size_t i = 0; i < k * n; i++) product[i] = 1;
    for (int way = 0; way < 2; way++) {
        NAME(padded)(k, width, way, table, A);
        for (size_t i = 0; i < k * n; i++) messages[i] = 1;
        for (size_t i = 0; i < n_steps; i++) {
            STEP(i)
            if (x && i < n_rounds) {
                NAME(only)(n, k, from, own ? count : 0, x + place);
                NAME(only)(n, k, from, own ? count : 0, sums + place);
            }
            for (size_t m = 0; m < n_tiles; m++) {
                /* In an order in which messages are used before others overwrite them. */
                const size_t t = (way ? m : n_tiles - 1 - m) * LANES;
                NAME(sent)(count - t, n, k, width, A, linked + step[0] + t, of_field + from + t,
                           messages + from + t, tile, top, x ? x + place + from + t : NULL,
                           x ? sums + place + from + t : NULL, messages + to + t);
                if (!way && (!own || i + 1 == n_steps)) /* once for each sender */
                    for (size_t l = 0; l < LANES && l < count - t; l++)
                        peaks[from + t + l] += NAME(log)(top[l]);
            }
        }
        for (size_t i = 0; i < k * n; i++) product[i] *= messages[i];
    }
    for (size_t t = 0; t < n; t += LANES) {
        NAME(gathered)(n - t, k, order + t, field, tile);
        for (size_t j = 0; j < k; j++) {
            NAME(to_tile)(n - t, product + j * n + t, top);
            SIMD for (size_t l = 0; l < LANES; l++) tile[j * LANES + l] += NAME(log)(top[l]);
        }
        NAME(scattered)(n - t, k, order + t, tile, totals);
    }
    return 1;
}

/* `work` is (3, k, n). */
CLONES static void NAME(passed_adjoint)(size_t n, size_t k, size_t n_rounds, size_t n_steps,
                                        const ptrdiff_t *order, const ptrdiff_t *steps,
                                        const char *linked, const real *g, const real *table,
                                        const real *x, const real *sums, real *work,
                                        real *g_field, real *d)
{
    real A[LONGEST * LONGEST], tile[LONGEST * LANES];
    real *of_totals = work, *of_messages = work + k * n, *of_field = of_messages + k * n;
    const size_t width = (k + FOUR - 1) / FOUR * FOUR;
    const int own = n_rounds == n_steps; /* or the totals contain the messages of all steps */
    memset(tile, 0, width * LANES * sizeof(real));
    for (size_t t = 0; t < n; t += LANES) {
        NAME(gathered)(n - t, k, order + t, g, tile);
        for (size_t j = 0; j < k; j++)
            NAME(from_tile)(n - t, tile + j * LANES, of_totals + j * n + t);
    }
    memcpy(of_field, of_totals, k * n * sizeof(real));
    for (int way = 0; way < 2; way++) {
        NAME(padded)(k, width, !way, table, A);
        memcpy(of_messages, of_totals, k * n * sizeof(real));
        for (size_t i = n_steps; i-- > 0;) {
            STEP(i)
            if (own || i + 1 == n_steps) NAME(only)(n, k, from, own ? count : 0, d + place);
            for (size_t m = 0; m < n_tiles; m++) {
                const size_t t = (way ? n_tiles - 1 - m : m) * LANES, on_tape = place + from + t;
                NAME(sent_adjoint)(count - t, n, k, width, A, linked + step[0] + t, !own,
                                   of_messages + to + t, x + on_tape, sums + on_tape, tile,
                                   d + on_tape, of_field + from + t, of_messages + from + t);
            }
            if (own) NAME(only)(n, k, from, count, of_messages);
        }
    }
    for (size_t t = 0; t < n; t += LANES) {
        for (size_t j = 0; j < k; j++)
            NAME(to_tile)(n - t, of_field + j * n + t, tile + j * LANES);
        NAME(scattered)(n - t, k, order + t, tile, g_field);
    }
}

#undef STEP
#undef FOUR
