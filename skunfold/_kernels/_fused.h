/* Plain C loops of skunfold._kernels._fused, for float and for double.

   Compilers vectorise them: GCC for three kinds of x86-64 processors, of which the loader takes
   the best one; elsewhere for the processor that is compiled for. NaN is kept as by NumPy: of
   `x < y ? y : x`, x may be NaN. */

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) \
    && defined(__GLIBC__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
static const char *processor(void)
{
    return __builtin_cpu_supports("x86-64-v4")   ? "x86-64-v4"
           : __builtin_cpu_supports("x86-64-v3") ? "x86-64-v3"
                                                 : "any processor";
}
#else
#define CLONES
static const char *processor(void) { return "any processor"; }
#endif

#ifdef _MSC_VER
#define ALWAYS_INLINE static __forceinline
#define RESTRICT __restrict
#define SUM_OF(x)
#define SIMD
#else
#define PRAGMA(x) _Pragma(#x)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define RESTRICT restrict
#define SUM_OF(x) PRAGMA(omp simd reduction(+ : x))
#define SIMD PRAGMA(omp simd)
#endif

enum {
    LANES = 16,   /* of a product along a row; rows side by side */
    LONGEST = 64, /* rows that are side by side */
    TILE = 256    /* elements of buffers on the stack */
};

/* exp and log: an argument is reduced to one near 0, whose polynomial is scaled by a power of 2.
   What a polynomial cannot give is chosen at the end, so that there are no branches. */

ALWAYS_INLINE float exp_f(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: rounds to a whole number */
    float shifted = x * 1.44269504f + shift, n = shifted - shift;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    int32_t bits, of_shift;
    float power;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    memcpy(&bits, &shifted, 4);
    memcpy(&of_shift, &shift, 4);
    bits = (int32_t)((uint32_t)(bits - of_shift + 126) << 23); /* 2^(n - 1) */
    memcpy(&power, &bits, 4);
    p = p * power * 2.0f;
    p = x > 88.7228394f ? INFINITY : p;
    return x < -86.98f ? 0.0f : p; /* of what is below about twice the smallest normal number */
}

ALWAYS_INLINE float log_f(float x)
{
    const int32_t of_root = 0x3f3504f3; /* of sqrt(1/2) */
    int small = x < 1.17549435e-38f; /* denormal */
    float scaled = small ? x * 8388608.0f : x, e, m, f, p, result;
    int32_t bits;
    memcpy(&bits, &scaled, 4);
    bits -= of_root;
    e = (float)(bits >> 23) - (small ? 23.0f : 0.0f);
    bits = (bits & 0x7fffff) + of_root;
    memcpy(&m, &bits, 4);
    f = m - 1.0f;
    p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    p = p * (f * f * f) + e * -2.12194440e-4f - 0.5f * (f * f);
    result = (f + p) + e * 0.693359375f;
    result = x < INFINITY ? result : x; /* infinity, NaN */
    result = x < 0.0f ? NAN : result;
    return x == 0.0f ? -INFINITY : result;
}

ALWAYS_INLINE double exp_d(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52 */
    double shifted = x * 1.4426950408889634 + shift, n = shifted - shift;
    double r = (x - n * 0.693145751953125) - n * 1.42860682030941723212e-6;
    double p = 1.0 / 6227020800.0, power; /* Taylor's series up to r^13 / 13! */
    int64_t bits, of_shift;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * (r * r) + r + 1.0;
    memcpy(&bits, &shifted, 8);
    memcpy(&of_shift, &shift, 8);
    bits = (int64_t)((uint64_t)(bits - of_shift + 1022) << 52);
    memcpy(&power, &bits, 8);
    p = p * power * 2.0;
    p = x > 709.782712893384 ? INFINITY : p;
    return x < -708.04 ? 0.0 : p;
}

ALWAYS_INLINE double log_d(double x)
{
    const uint64_t of_root = 0x3fe6a09e667f3bcdULL, bias = 1024ULL << 52;
    const double whole = 4503599627370496.0; /* 2^52: its last bits are a whole number */
    int small = x < 2.2250738585072014e-308;
    double scaled = small ? x * 4503599627370496.0 : x, e, m, f, s, z, half, p, result;
    uint64_t bits, of_e, of_whole;
    memcpy(&bits, &scaled, 8);
    memcpy(&of_whole, &whole, 8);
    bits += bias - of_root;
    of_e = (bits >> 52) | of_whole;
    memcpy(&e, &of_e, 8);
    e = (e - (4503599627370496.0 + 1024.0)) - (small ? 52.0 : 0.0);
    bits = (bits & 0xfffffffffffffULL) + of_root;
    memcpy(&m, &bits, 8);
    /* log(1 + f) = f - f^2 / 2 + s (f^2 / 2 + p(s^2)), s = f / (2 + f) */
    f = m - 1.0;
    s = f / (2.0 + f);
    z = s * s;
    half = 0.5 * f * f;
    p = 1.479819860511658591e-1;
    p = p * z + 1.531383769920937332e-1;
    p = p * z + 1.818357216161805012e-1;
    p = p * z + 2.222219843214978396e-1;
    p = p * z + 2.857142874366239149e-1;
    p = p * z + 3.999999999940941908e-1;
    p = p * z + 6.666666666666735130e-1;
    p *= z;
    result = s * (half + p) + e * 1.90821492927058770002e-10;
    result = e * 6.93147180369123816490e-1 - ((half - result) - f);
    result = x < INFINITY ? result : x;
    result = x < 0.0 ? NAN : result;
    return x == 0.0 ? -INFINITY : result;
}

#define real float
#define NAME(name) name##_f
#define SQRT sqrtf
#define FABS fabsf
#define TINY FLT_MIN
#include "_fused_loops.h"
#include "_fused_chains.h"
#undef real
#undef NAME
#undef SQRT
#undef FABS
#undef TINY

#define real double
#define NAME(name) name##_d
#define SQRT sqrt
#define FABS fabs
#define TINY DBL_MIN
#include "_fused_loops.h"
#include "_fused_chains.h"
#undef real
#undef NAME
#undef SQRT
#undef FABS
#undef TINY

/* By whether the numbers are single. */

#define EITHER(name, single, ...) ((single) ? name##_f(__VA_ARGS__) : name##_d(__VA_ARGS__))
#define c_sigmoid_of_sum(...) EITHER(sigmoid_of_sum, __VA_ARGS__)
#define c_sigmoid_adjoint(...) EITHER(sigmoid_adjoint, __VA_ARGS__)
#define c_grown(...) EITHER(grown, __VA_ARGS__)
#define c_fraction(...) EITHER(fraction, __VA_ARGS__)
#define c_updated_row(...) EITHER(updated_row, __VA_ARGS__)
#define c_through_weights(...) EITHER(through_weights, __VA_ARGS__)
#define c_numerator_adjoint(...) EITHER(numerator_adjoint, __VA_ARGS__)
#define c_masked(...) EITHER(masked, __VA_ARGS__)
#define c_mask_forward(...) EITHER(mask_forward, __VA_ARGS__)
#define c_mask_adjoint(...) EITHER(mask_adjoint, __VA_ARGS__)
#define c_row_max(...) EITHER(row_max, __VA_ARGS__)
#define c_exp_below(...) EITHER(exp_below, __VA_ARGS__)
#define c_softmax(...) EITHER(softmax, __VA_ARGS__)
#define c_log_above(...) EITHER(log_above, __VA_ARGS__)
#define c_max_plus(...) EITHER(max_plus, __VA_ARGS__)
#define c_passed(...) EITHER(passed, __VA_ARGS__)
#define c_passed_adjoint(...) EITHER(passed_adjoint, __VA_ARGS__)
#define c_sigmoid(...) EITHER(sigmoid, __VA_ARGS__)
#define c_odds_off(...) EITHER(odds_off, __VA_ARGS__)
#define c_within(...) EITHER(within, __VA_ARGS__)
#define c_pair_ratios(...) EITHER(pair_ratios, __VA_ARGS__)
#define c_class_ratios(...) EITHER(class_ratios, __VA_ARGS__)
#define c_logs_of_columns(...) EITHER(logs_of_columns, __VA_ARGS__)
#define c_logs_of_rows(...) EITHER(logs_of_rows, __VA_ARGS__)
#define c_pair_adjoint(...) EITHER(pair_adjoint, __VA_ARGS__)
#define c_class_adjoint(...) EITHER(class_adjoint, __VA_ARGS__)
#define c_class_shares(...) EITHER(class_shares, __VA_ARGS__)
#define c_class_shares_adjoint(...) EITHER(class_shares_adjoint, __VA_ARGS__)
#define c_log_gradient(...) EITHER(log_gradient, __VA_ARGS__)
#define c_adam(...) EITHER(adam, __VA_ARGS__)
#define c_exponentiated(...) EITHER(exponentiated, __VA_ARGS__)
#define c_multiplicative(...) EITHER(multiplicative, __VA_ARGS__)
