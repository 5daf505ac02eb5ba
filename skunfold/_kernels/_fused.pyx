# cython: language_level=3, boundscheck=False, wraparound=False
# cython: freethreading_compatible=True
"""Compiled twins of small functions of NumPy: each computes the same in one pass.

`skunfold._kernels.fused` chooses between the two. A twin raises ValueError or TypeError, before it
changes anything, for arrays that it does not take: all are of one dtype, float32 or float64, in
C order (of functions of one array that is not changed, in any), and of the shapes in the docstring
of the function of NumPy. There is no state, and the
interpreter's lock is released during the loops, which are in _fused_loops.h and _fused_chains.h.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)

import numpy as np

cdef extern from "_fused.h" nogil:
    enum:
        LONGEST
    const char* processor()
    void c_grown(bint, size_t, size_t, bint, void*, void*, double, void*)
    void c_fraction(bint, size_t, void*, void*, double, void*)
    void c_updated_row(
        bint, size_t, size_t, void*, void*, void*, void*, double, bint, double, void*, void*)
    void c_through_weights(bint, size_t, void*, void*, void*)
    void c_numerator_adjoint(bint, size_t, size_t, void*, void*, void*, void*, void*, void*)
    void c_masked(bint, size_t, size_t, size_t, void*, void*, void*, double)
    void c_mask_forward(
        bint, size_t, size_t, size_t, void*, void*, void*, double, void*, void*, void*)
    void c_mask_adjoint(bint, size_t, void*, void*, void*, void*, void*, void*)
    void c_row_max(bint, size_t, size_t, void*, void*)
    void c_exp_below(bint, size_t, size_t, void*)
    void c_softmax(bint, size_t, size_t, bint, void*, void*)
    void c_log_above(bint, size_t, void*, double, void*)
    void c_max_plus(bint, size_t, size_t, bint, void*, void*, void*)
    int c_passed(
        bint, size_t, size_t, size_t, size_t, const Py_ssize_t*, const Py_ssize_t*, const char*,
        void*, void*, void*, void*, void*, void*, void*)
    void c_passed_adjoint(
        bint, size_t, size_t, size_t, size_t, const Py_ssize_t*, const Py_ssize_t*, const char*,
        void*, void*, void*, void*, void*, void*, void*)
    void c_sigmoid(bint, size_t, void*, void*)
    void c_sigmoid_of_sum(bint, size_t, size_t, void*, void*)
    void c_sigmoid_adjoint(bint, size_t, void*, void*)
    void c_odds_off(bint, size_t, void*, double, void*)
    void c_within(bint, size_t, void*, void*, double)
    void c_pair_ratios(bint, size_t, size_t, size_t, bint, void*, void*, void*, void*)
    void c_class_ratios(bint, size_t, size_t, size_t, void*, void*, void*)
    void c_logs_of_columns(bint, size_t, size_t, size_t, size_t, void*, void*)
    void c_logs_of_rows(bint, size_t, size_t, size_t, void*, void*)
    void c_pair_adjoint(
        bint, size_t, size_t, size_t, bint, void*, void*, void*, void*, void*, void*, void*,
        void*, void*)
    void c_class_adjoint(
        bint, size_t, size_t, size_t, void*, void*, void*, void*, void*, void*, void*)
    void c_class_shares(
        bint, size_t, size_t, size_t, void*, void*, void*, void*, void*, void*)
    void c_class_shares_adjoint(
        bint, size_t, size_t, size_t, void*, void*, void*, void*, void*, void*, void*, void*)
    double c_log_gradient(bint, size_t, void*, void*)
    void c_adam(bint, size_t, void*, void*, void*, void*, double, double, double, double)
    void c_exponentiated(
        bint, size_t, void*, void*, void*, void*, double, double, double, double, double, double)
    void c_multiplicative(bint, size_t, void*, void*, void*, double, bint, double, double)


PROCESSOR = processor().decode()  # that the loops are for


cdef bint is_single(array) except -1:
    """Return whether an array is of float32; ValueError if it is not of float64 either."""
    kind = array.dtype.char
    if kind != "f" and kind != "d":
        raise ValueError("the dtype is neither float32 nor float64")
    return kind == "f"


cdef void* data(
    array, bint single, bint writable, Py_ssize_t n, Py_ssize_t m=-1, Py_ssize_t k=-1,
    Py_ssize_t j=-1,
) except NULL:
    """Return where the elements of an array are; ValueError if it is not as expected.

    It is of one to four axes, of lengths n, m, k, j.
    """
    cdef Py_buffer buffer
    cdef int ndim = 4 if j >= 0 else 3 if k >= 0 else 2 if m >= 0 else 1
    PyObject_GetBuffer(
        array, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0)
    )
    try:
        if (
            buffer.format[0] != (c'f' if single else c'd')
            or buffer.format[1] != 0
            or buffer.ndim != ndim
            or buffer.shape[0] != n
            or (ndim > 1 and buffer.shape[1] != m)
            or (ndim > 2 and buffer.shape[2] != k)
            or (ndim > 3 and buffer.shape[3] != j)
        ):
            raise ValueError("another dtype or shape is expected")
        return buffer.buf
    finally:
        PyBuffer_Release(&buffer)


cdef void* rows_of(array, bint single, Py_ssize_t n, Py_ssize_t m, size_t* stride) except NULL:
    """As `data`, of (n, m) whose rows may be apart; `stride` is set to how many elements."""
    cdef Py_buffer buffer
    cdef Py_ssize_t size = 4 if single else 8
    PyObject_GetBuffer(array, &buffer, PyBUF_STRIDES | PyBUF_FORMAT)
    try:
        if (
            buffer.format[0] != (c'f' if single else c'd')
            or buffer.format[1] != 0
            or buffer.ndim != 2
            or buffer.shape[0] != n
            or buffer.shape[1] != m
            or buffer.strides[1] != size
            or buffer.strides[0] < 0
            or buffer.strides[0] % size
        ):
            raise ValueError("another dtype, shape or order is expected")
        stride[0] = buffer.strides[0] // size
        return buffer.buf
    finally:
        PyBuffer_Release(&buffer)


cdef const Py_ssize_t* places(array, Py_ssize_t n, Py_ssize_t width, Py_ssize_t end) except NULL:
    """Return the n rows of `width` places, each from 0 to `end`; ValueError if there are others."""
    cdef Py_buffer buffer
    cdef Py_ssize_t i
    PyObject_GetBuffer(array, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if (
            buffer.format[0] not in (c'l', c'q', c'i')
            or buffer.format[1] != 0
            or buffer.itemsize != sizeof(Py_ssize_t)
            or buffer.len != n * width * buffer.itemsize
        ):
            raise ValueError("an array of intp is expected")
        for i in range(n * width):
            if not 0 <= (<Py_ssize_t*>buffer.buf)[i] <= end:
                raise ValueError("a place is beyond the end")
        return <Py_ssize_t*>buffer.buf
    finally:
        PyBuffer_Release(&buffer)


cdef const char* switches(array, Py_ssize_t n) except NULL:
    """Return where the n elements of an array of bool are; ValueError if it is no such array."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(array, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if buffer.format[0] != c'?' or buffer.len != n:
            raise ValueError("an array of bool is expected")
        return <char*>buffer.buf
    finally:
        PyBuffer_Release(&buffer)


cdef const Py_ssize_t* steps_of(steps, Py_ssize_t n) except NULL:
    """Return where steps are: columns of senders and receivers, and their number."""
    cdef const Py_ssize_t* first = places(steps, len(steps), 3, n)
    cdef Py_ssize_t i
    for i in range(len(steps)):
        if max(first[3 * i], first[3 * i + 1]) + first[3 * i + 2] > n:
            raise ValueError("a step leads beyond the end")
    return first


cdef Py_ssize_t short_row(Py_ssize_t length) except -1:
    """Return the length of rows that are short enough to be side by side; else ValueError."""
    if not 0 < length <= LONGEST:
        raise ValueError("the rows are long, or empty")
    return length


cdef in_order(array):
    """Return an array, or a copy of it in C order, so that results do not depend on the order."""
    return np.ascontiguousarray(array)


cdef new(array, shape):
    return np.empty(shape, array.dtype)


cdef zeros(array, shape):
    return np.zeros(shape, array.dtype)


def odds_off(t, double limit):
    t = in_order(t)
    cdef bint single = is_single(t)
    cdef Py_ssize_t n, m
    n, m = t.shape
    out = new(t, (n, m))
    cdef void *p_t = data(t, single, False, n, m)
    cdef void *p_out = data(out, single, True, n, m)
    with nogil:
        c_odds_off(single, n * m, p_t, limit, p_out)
    return out


def within(g, t, double limit):
    cdef bint single = is_single(g)
    cdef Py_ssize_t n, m
    n, m = g.shape
    cdef void *p_g = data(g, single, True, n, m)
    cdef void *p_t = data(t, single, False, n, m)
    with nogil:
        c_within(single, n * m, p_g, p_t, limit)
    return g


def pair_ratios(odds, back, E, bint down):
    cdef bint single = is_single(odds)
    cdef Py_ssize_t n = odds.shape[0], m, k
    m, k = E.shape
    r = new(odds, (n, m, k))
    cdef void *p_odds = data(odds, single, False, n, k if down else m)
    cdef void *p_back = NULL
    cdef void *p_E = data(E, single, False, m, k)
    cdef void *p_r = data(r, single, True, n, m, k)
    if back is not None:
        p_back = data(back, single, False, n, m, k)
    with nogil:
        c_pair_ratios(single, n, m, k, down, p_odds, p_back, p_E, p_r)
    return r, None


def pair_adjoint(g_field, g_state, odds, back, d, r, E, bint down):
    cdef bint single = is_single(r)
    cdef Py_ssize_t n, m, k
    n, m, k = r.shape
    cdef void *p_field = data(g_field, single, False, n, m if down else k)
    cdef void *p_odds = data(odds, single, False, n, k if down else m)
    cdef void *p_r = data(r, single, False, n, m, k)
    cdef void *p_E = data(E, single, False, m, k)
    cdef void *p_state = NULL
    cdef void *p_back = NULL
    cdef void *p_rho = NULL
    g_rho = None
    if g_state is not None:
        p_state = data(g_state, single, True, n, m, k)
    if back is not None:
        p_back = data(back, single, False, n, m, k)
        g_rho = new(r, (n, m, k)) if g_state is None else g_state
        p_rho = data(g_rho, single, True, n, m, k)
    g_weight = zeros(r, (m, k))
    g_t = zeros(r, (n, k if down else m))
    cdef void *p_weight = data(g_weight, single, True, m, k)
    cdef void *p_t = data(g_t, single, True, n, k if down else m)
    with nogil:
        c_pair_adjoint(
            single, n, m, k, down, p_field, p_state, p_odds, p_back, p_r, p_E, p_rho, p_weight,
            p_t)
    return g_rho, g_weight, g_t


def class_ratios(rho, E):
    cdef bint single = is_single(rho)
    cdef Py_ssize_t c = E.shape[0], n, m
    n, m = rho.shape
    r = new(rho, (c, n, m))
    cdef void *p_rho = data(rho, single, False, n, m)
    cdef void *p_E = data(E, single, False, c, m)
    cdef void *p_r = data(r, single, True, c, n, m)
    with nogil:
        c_class_ratios(single, c, n, m, p_rho, p_E, p_r)
    return r


def class_adjoint(g_field, g_state, rho, r, E):
    cdef bint single = is_single(r)
    cdef Py_ssize_t c, n, m
    c, n, m = r.shape
    cdef void *p_field = data(g_field, single, False, c, n)
    cdef void *p_state = NULL
    cdef void *p_rho = data(rho, single, False, n, m)
    cdef void *p_r = data(r, single, False, c, n, m)
    cdef void *p_E = data(E, single, False, c, m)
    if g_state is not None:
        p_state = data(g_state, single, False, c, n, m)
    g_rho, g_weight = zeros(r, (n, m)), zeros(r, (c, m))
    cdef void *p_g_rho = data(g_rho, single, True, n, m)
    cdef void *p_weight = data(g_weight, single, True, c, m)
    with nogil:
        c_class_adjoint(single, c, n, m, p_field, p_state, p_rho, p_r, p_E, p_g_rho, p_weight)
    return g_rho, g_weight


def class_shares(P, back, E):
    cdef bint single = is_single(P)
    cdef Py_ssize_t c, n, m
    c, n, m = back.shape
    cdef void *p_P = data(P, single, False, c, n)
    cdef void *p_back = data(back, single, False, c, n, m)
    cdef void *p_E = data(E, single, False, c, m)
    shares, total, weighted_total = new(P, (c, n, m)), zeros(P, (n, m)), zeros(P, (n, m))
    cdef void *p_shares = data(shares, single, True, c, n, m)
    cdef void *p_total = data(total, single, True, n, m)
    cdef void *p_weighted_total = data(weighted_total, single, True, n, m)
    with nogil:
        c_class_shares(
            single, c, n, m, p_P, p_back, p_E, p_shares, p_total, p_weighted_total)
    return shares, total, weighted_total


def class_shares_adjoint(G, shares, E, total, weighted_total):
    cdef bint single = is_single(G)
    cdef Py_ssize_t c, n, m
    c, n, m = shares.shape
    cdef void *p_G = data(G, single, False, n, m)
    cdef void *p_shares = data(shares, single, False, c, n, m)
    cdef void *p_E = data(E, single, False, c, m)
    cdef void *p_total = data(total, single, False, n, m)
    cdef void *p_weighted_total = data(weighted_total, single, False, n, m)
    g_back, g_weight, g_u = new(G, (c, n, m)), zeros(G, (c, m)), new(G, (c, n))
    cdef void *p_back = data(g_back, single, True, c, n, m)
    cdef void *p_weight = data(g_weight, single, True, c, m)
    cdef void *p_u = data(g_u, single, True, c, n)
    with nogil:
        c_class_shares_adjoint(
            single, c, n, m, p_G, p_shares, p_E, p_total, p_weighted_total, p_back, p_weight,
            p_u)
    return g_back, g_weight, g_u


def sum_of_logs(r, int axis, Py_ssize_t n_factors):
    cdef bint single = is_single(r)
    cdef Py_ssize_t n, m, k
    n, m, k = r.shape
    out = new(r, (n, m) if axis == 2 else (n, k))
    cdef void *p_r = data(r, single, False, n, m, k)
    cdef void *p_out = data(out, single, True, n, m if axis == 2 else k)
    with nogil:
        if axis == 2:
            c_logs_of_rows(single, n * m, k, n_factors, p_r, p_out)
        else:
            c_logs_of_columns(single, n, m, k, n_factors, p_r, p_out)
    return out


def row_max(x):
    x = in_order(x)
    cdef bint single = is_single(x)
    cdef Py_ssize_t n, k
    n, k = x.shape
    out = new(x, (n, 1))
    cdef void *p_x = data(x, single, False, n, short_row(k))
    cdef void *p_out = data(out, single, True, n, 1)
    with nogil:
        c_row_max(single, n, k, p_x, p_out)
    return out


def exp_below(x):
    cdef bint single = is_single(x)
    cdef Py_ssize_t n, k
    n, k = x.shape
    cdef void *p_x = data(x, single, True, n, short_row(k))
    with nogil:
        c_exp_below(single, n, k, p_x)
    return x


def softmax(logits):
    return softmax_or_logs(logits, False)


def log_softmax(logits):
    return softmax_or_logs(logits, True)


cdef softmax_or_logs(logits, bint logs):
    logits = in_order(logits)
    cdef bint single = is_single(logits)
    cdef Py_ssize_t n, k
    n, k = logits.shape
    out = new(logits, (n, k))
    cdef void *p_x = data(logits, single, False, n, short_row(k))
    cdef void *p_out = data(out, single, True, n, k)
    with nogil:
        c_softmax(single, n, k, logs, p_x, p_out)
    return out


def log_above(sums, double smallest, out):
    cdef bint single = is_single(sums)
    cdef Py_ssize_t n, k
    n, k = sums.shape
    cdef void *p_sums = data(sums, single, True, n, k)
    cdef void *p_out = data(out, single, True, n, k)
    with nogil:
        c_log_above(single, n * k, p_sums, smallest, p_out)
    return out


def max_plus(x, A):
    cdef bint single = is_single(x)
    cdef bint each = A.ndim == 3
    cdef Py_ssize_t n, k
    n, k = x.shape
    out = new(x, (n, k))
    cdef void *p_x = data(x, single, False, n, short_row(k))
    cdef void *p_A = data(A, single, False, n, k, k) if each else data(A, single, False, k, k)
    cdef void *p_out = data(out, single, True, n, k)
    with nogil:
        c_max_plus(single, n, k, each, p_x, p_A, p_out)
    return out


def passed(field, table, order, steps, linked, Py_ssize_t n_rounds, bint keep):
    cdef bint single = is_single(field)
    cdef Py_ssize_t n, k, n_steps = len(steps)
    n, k = field.shape
    if not n or not n_steps or n_rounds not in (1, n_steps):
        raise ValueError("nothing is passed, or in other rounds")
    cdef const Py_ssize_t *p_order = places(order, n, 1, n - 1)
    cdef const Py_ssize_t *p_steps = steps_of(steps, n)
    cdef const char *p_linked = switches(linked, n)
    cdef void *p_field = data(field, single, False, n, k)
    cdef void *p_table = data(table, single, False, short_row(k), k)
    totals, peaks, work = new(field, (n, k)), new(field, n), new(field, (3, k, n))
    x = sums = None
    cdef void *p_x = NULL
    cdef void *p_sums = NULL
    if keep:
        x, sums = new(field, (2, n_rounds, k, n)), new(field, (2, n_rounds, k, n))
        p_x = data(x, single, True, 2, n_rounds, k, n)
        p_sums = data(sums, single, True, 2, n_rounds, k, n)
    cdef void *p_totals = data(totals, single, True, n, k)
    cdef void *p_peaks = data(peaks, single, True, n)
    cdef void *p_work = data(work, single, True, 3, k, n)
    cdef bint in_range
    with nogil:
        in_range = c_passed(
            single, n, k, n_rounds, n_steps, p_order, p_steps, p_linked, p_field, p_table,
            p_work, p_totals, p_x, p_sums, p_peaks)
    if not in_range:
        raise ValueError("the weights are too far apart")
    return totals, x, sums, peaks


def passed_adjoint(g, table, order, steps, linked, x, sums):
    cdef bint single = is_single(g)
    cdef Py_ssize_t n, k, n_rounds = x.shape[1], n_steps = len(steps)
    n, k = g.shape
    if not n or not n_steps or n_rounds not in (1, n_steps):
        raise ValueError("nothing is passed, or in other rounds")
    cdef const Py_ssize_t *p_order = places(order, n, 1, n - 1)
    cdef const Py_ssize_t *p_steps = steps_of(steps, n)
    cdef const char *p_linked = switches(linked, n)
    cdef void *p_g = data(g, single, False, n, k)
    cdef void *p_table = data(table, single, False, short_row(k), k)
    cdef void *p_x = data(x, single, False, 2, n_rounds, k, n)
    cdef void *p_sums = data(sums, single, False, 2, n_rounds, k, n)
    g_field, d, work = new(g, (n, k)), new(g, (2, n_rounds, k, n)), new(g, (3, k, n))
    cdef void *p_work = data(work, single, True, 3, k, n)
    cdef void *p_g_field = data(g_field, single, True, n, k)
    cdef void *p_d = data(d, single, True, 2, n_rounds, k, n)
    with nogil:
        c_passed_adjoint(
            single, n, k, n_rounds, n_steps, p_order, p_steps, p_linked, p_g, p_table, p_x,
            p_sums, p_work, p_g_field, p_d)
    return g_field, d


def sigmoid(x):
    x = in_order(x)
    cdef bint single = is_single(x)
    cdef Py_ssize_t n, k
    n, k = x.shape
    out = new(x, (n, k))
    cdef void *p_x = data(x, single, False, n, k)
    cdef void *p_out = data(out, single, True, n, k)
    with nogil:
        c_sigmoid(single, n * k, p_x, p_out)
    return out


def sigmoid_of_sum(x, b):
    cdef bint single = is_single(x)
    cdef Py_ssize_t n, k
    n, k = x.shape
    cdef void *p_x = data(x, single, True, n, k)
    cdef void *p_b = data(b, single, False, k)
    with nogil:
        c_sigmoid_of_sum(single, n, k, p_x, p_b)
    return x


def sigmoid_adjoint(g, q):
    cdef bint single = is_single(g)
    cdef Py_ssize_t n, k
    n, k = g.shape
    cdef void *p_g = data(g, single, True, n, k)
    cdef void *p_q = data(q, single, False, n, k)
    with nogil:
        c_sigmoid_adjoint(single, n * k, p_g, p_q)
    return g


def grown(h, factor, double smallest, out):
    cdef bint single = is_single(factor)
    cdef Py_ssize_t n, k
    cdef bint each = len(h) != 1
    n, k = factor.shape
    cdef void *p_h = data(h, single, False, n if each else 1, k)
    cdef void *p_factor = data(factor, single, False, n, k)
    cdef void *p_out = data(out, single, True, n, k)
    if p_out == p_factor:
        raise ValueError("the factor is not overwritten")
    with nogil:
        c_grown(single, n, k, each, p_h, p_factor, smallest, p_out)
    return out


def fraction(num, den, double floor, out):
    cdef bint single = is_single(num)
    cdef Py_ssize_t n, k
    n, k = num.shape
    cdef void *p_num = data(num, single, False, n, k)
    cdef void *p_den = data(den, single, True, n, k)
    cdef void *p_out = data(out, single, True, n, k)
    with nogil:
        c_fraction(single, n * k, p_num, p_den, floor, p_out)
    return out


def updated_row(X, h, W, projections, double floor, double exponent, double smallest):
    if exponent != 1 and exponent != 2:
        raise ValueError("another power is left to NumPy")
    cdef bint single = is_single(W)
    cdef Py_ssize_t m, k
    m, k = W.shape
    v, out = new(W, (1, k)), new(W, (1, m))
    cdef void *p_X = data(X, single, False, 1, k)
    cdef void *p_h = data(h, single, False, 1, m)
    cdef void *p_W = data(W, single, False, m, k)
    cdef void *p_projections = data(projections, single, False, k, m)
    cdef void *p_v = data(v, single, True, 1, k)
    cdef void *p_out = data(out, single, True, 1, m)
    with nogil:
        c_updated_row(
            single, m, k, p_X, p_h, p_W, p_projections, floor, exponent == 2, smallest, p_v,
            p_out)
    return out


def through_weights(g, A, v):
    cdef bint single = is_single(g)
    cdef Py_ssize_t n, k
    n, k = g.shape
    cdef void *p_g = data(g, single, True, n, k)
    cdef void *p_A = data(A, single, False, n, k)
    cdef void *p_v = data(v, single, False, n, k)
    with nogil:
        c_through_weights(single, n * k, p_g, p_A, p_v)
    return g


def numerator_adjoint(x, h, den, ratio, out):
    cdef bint single = is_single(x)
    cdef Py_ssize_t n, k
    n, k = x.shape
    of_den = zeros(x, k)
    cdef void *p_x = data(x, single, False, n, k)
    cdef void *p_h = data(h, single, False, n, k)
    cdef void *p_den = data(den, single, False, 1, k)
    cdef void *p_ratio = data(ratio, single, False, n, k)
    cdef void *p_out = data(out, single, True, n, k)
    cdef void *p_of_den = data(of_den, single, True, k)
    with nogil:
        c_numerator_adjoint(single, n, k, p_x, p_h, p_den, p_ratio, p_out, p_of_den)
    return of_den


def masked(y, other, X, double floor):
    cdef bint single = is_single(y)
    cdef Py_ssize_t n, k
    cdef size_t stride = 0
    n, k = y.shape
    cdef void *p_y = data(y, single, True, n, k)
    cdef void *p_other = data(other, single, False, n, k)
    cdef void *p_X = rows_of(X, single, n, k, &stride)
    with nogil:
        c_masked(single, n, k, stride, p_y, p_other, p_X, floor)


def mask_forward(own, other, X, double floor, d, X_over_d, y):
    cdef bint single = is_single(own)
    cdef Py_ssize_t n, k
    cdef size_t stride = 0
    n, k = own.shape
    cdef void *p_own = data(own, single, False, n, k)
    cdef void *p_other = data(other, single, False, n, k)
    cdef void *p_X = rows_of(X, single, n, k, &stride)
    cdef void *p_d = data(d, single, True, n, k)
    cdef void *p_X_over_d = data(X_over_d, single, True, n, k)
    cdef void *p_y = data(y, single, True, n, k)
    with nogil:
        c_mask_forward(
            single, n, k, stride, p_own, p_other, p_X, floor, p_d, p_X_over_d, p_y)


def mask_adjoint(x, X_over_d, own, d, g_own, g_other):
    cdef bint single = is_single(x)
    cdef Py_ssize_t n, k
    n, k = x.shape
    cdef void *p_x = data(x, single, False, n, k)
    cdef void *p_X_over_d = data(X_over_d, single, False, n, k)
    cdef void *p_own = data(own, single, False, n, k)
    cdef void *p_d = data(d, single, False, n, k)
    cdef void *p_g_own = data(g_own, single, True, n, k)
    cdef void *p_g_other = data(g_other, single, True, n, k)
    with nogil:
        c_mask_adjoint(single, n * k, p_x, p_X_over_d, p_own, p_d, p_g_own, p_g_other)


def log_gradient(w, g):
    cdef bint single = is_single(g)
    cdef Py_ssize_t size = g.size
    cdef double total
    cdef void *p_w = data(w, single, False, size)
    cdef void *p_g = data(g, single, True, size)
    with nogil:
        total = c_log_gradient(single, size, p_w, p_g)
    return total


def adam(w, g, m, s, decay, double floor, double rate):
    cdef bint single = is_single(w)
    cdef Py_ssize_t size = w.size
    cdef double b1, b2
    b1, b2 = decay
    cdef void *p_w = data(w, single, True, size)
    cdef void *p_g = data(g, single, False, size)
    cdef void *p_m = data(m, single, True, size)
    cdef void *p_s = data(s, single, True, size)
    with nogil:
        c_adam(single, size, p_w, p_g, p_m, p_s, b1, b2, floor, rate)


def exponentiated(
    w, g, m, s, decay, double floor, double rate, double limit, double smallest
):
    cdef bint single = is_single(w)
    cdef Py_ssize_t size = w.size
    cdef double b1, b2
    b1, b2 = decay
    cdef void *p_w = data(w, single, True, size)
    cdef void *p_g = data(g, single, False, size)
    cdef void *p_m = data(m, single, True, size)
    cdef void *p_s = data(s, single, True, size)
    with nogil:
        c_exponentiated(
            single, size, p_w, p_g, p_m, p_s, b1, b2, floor, rate, limit, smallest)


def multiplicative(
    w, pos, neg, double floor, double exponent, double largest, double smallest
):
    if exponent != 1 and exponent != 0.5:
        raise ValueError("another power is left to NumPy")
    cdef bint single = is_single(w)
    cdef Py_ssize_t size = w.size
    cdef void *p_w = data(w, single, True, size)
    cdef void *p_pos = data(pos, single, False, size)
    cdef void *p_neg = data(neg, single, False, size)
    with nogil:
        c_multiplicative(
            single, size, p_w, p_pos, p_neg, floor, exponent == 0.5, largest, smallest)
