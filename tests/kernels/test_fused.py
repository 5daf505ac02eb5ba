"""The compiled core: each function against its twin of NumPy, and how the two are chosen."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

# the modules that have functions with twins
import skunfold._kernels.class_messages
import skunfold._kernels.kullback_leibler
import skunfold._kernels.nmf_layers
import skunfold._kernels.outputs
import skunfold._kernels.passes
import skunfold._kernels.ratios
import skunfold._kernels.row_graphs
import skunfold._training.moves
from skunfold._kernels.fused import COMPILED, CORE, FUSED

ATOL = {np.float32: 1e-6, np.float64: 1e-14}
RTOL = {np.float32: 1e-5, np.float64: 1e-12}
SIZES = [(3, 4, 5), (1, 1, 1), (2, 40, 300), (5, 33, 17), (0, 2, 3), (2, 0, 3), (2, 3, 0)]

needs_core = pytest.mark.skipif(COMPILED is None, reason="there is no compiled core")
of_both = pytest.mark.parametrize("dtype", [np.float32, np.float64])
of_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)


def positive(rng, *shape):
    return np.exp(rng.normal(size=shape))


def pair_ratios(rng, n, m, k, down, has_back):
    odds, E = positive(rng, n, k if down else m), positive(rng, m, k)
    return odds, positive(rng, n, m, k) if has_back else None, E, down


def pair_adjoint(rng, n, m, k, down, has_back, has_state):
    odds, back, E, _ = pair_ratios(rng, n, m, k, down, has_back)
    g_field = rng.normal(size=(n, m if down else k))
    g_state = rng.normal(size=(n, m, k)) if has_state else None
    return g_field, g_state, odds, back, None, positive(rng, n, m, k), E, down


def class_shares_adjoint(rng, n, m, k):
    E, total, weighted = positive(rng, m, k), positive(rng, n, k), positive(rng, n, k)
    return rng.normal(size=(n, k)), positive(rng, m, n, k), E, total, weighted


def update(rng, *sizes):
    n = int(np.prod(sizes))
    return positive(rng, n), rng.normal(size=n), rng.normal(size=n), positive(rng, n)


def pairs_of(rng, n, k, count):
    return tuple(positive(rng, n, k) for _ in range(count))


def short_rows(rng, n, m, k):
    return (3 * rng.normal(size=(n * m, min(max(k, 1), 60))),)


def table_of_each(rng, n, m, k):
    return *short_rows(rng, n, 1, k), rng.normal(size=(n, *2 * (min(max(k, 1), 60),)))


def chains(rng, n, m, k, there_and_back, keep=True):
    """Return arguments of `passed` for chains, and of its adjoint."""
    n_rows, k = n * m + 1, min(max(k, 1), 60)
    linked = np.append(rng.random(n_rows - 1) < 0.8, False)
    graph = skunfold._kernels.row_graphs.ChainGraph(linked)
    passes = skunfold._kernels.passes
    route = passes.there_and_back(graph) if there_and_back else passes.in_rounds(graph, 3)
    field, table = 3 * rng.normal(size=(n_rows, k)), np.exp(-2 * rng.random(size=(k, k)))
    return field, table, *route, keep


def chains_adjoint(rng, n, m, k, there_and_back):
    field, table, *route = chains(rng, n, m, k, there_and_back)
    _, x, sums, _ = FUSED["passed"].__wrapped__(field, table, *route)
    return rng.normal(size=field.shape), table, *route[:3], x, sums


# From a name to functions that draw arguments; all of the compiled functions are here.
ARGUMENTS = {
    "odds_off": [lambda rng, n, m, k: (5 * rng.normal(size=(n, m)), 7.0)],
    "within": [lambda rng, n, m, k: (rng.normal(size=(n, k)), rng.normal(size=(n, k)), 1.0)],
    "pair_ratios": [
        lambda rng, n, m, k, down=down, back=back: pair_ratios(rng, n, m, k, down, back)
        for down in (False, True)
        for back in (False, True)
    ],
    "pair_adjoint": [
        lambda rng, n, m, k, a=(down, back, state): pair_adjoint(rng, n, m, k, *a)
        for down in (False, True)
        for back in (False, True)
        for state in (False, True)
    ],
    "class_ratios": [lambda rng, n, m, k: (positive(rng, n, k), positive(rng, m, k))],
    "class_adjoint": [
        lambda rng, n, m, k, has_state=has_state: (
            rng.normal(size=(m, n)),
            rng.normal(size=(m, n, k)) if has_state else None,
            positive(rng, n, k),
            positive(rng, m, n, k),
            positive(rng, m, k),
        )
        for has_state in (False, True)
    ],
    "class_shares": [
        lambda rng, n, m, k: (positive(rng, m, n), positive(rng, m, n, k), positive(rng, m, k))
    ],
    "class_shares_adjoint": [class_shares_adjoint],
    "sum_of_logs": [
        lambda rng, n, m, k, axis=axis, most=most: (positive(rng, n, m, k), axis, most)
        for axis in (1, 2)
        for most in (2, 7, 20)
    ],
    "grown": [
        lambda rng, n, m, k, rows=rows: (
            positive(rng, n if rows else 1, k),
            positive(rng, n, k),
            0.1,
            np.zeros((n, k)),
        )
        for rows in (False, True)
    ],
    "fraction": [lambda rng, n, m, k: (*pairs_of(rng, n, k, 2), 0.1, np.zeros((n, k)))],
    "updated_row": [
        lambda rng, n, m, k, exponent=exponent: (
            *(positive(rng, 1, size) for size in (k, m)),
            *(positive(rng, *shape) for shape in ((m, k), (k, m))),
            *(0.1, exponent, 1e-4),
        )
        for exponent in (1.0, 2.0)
    ],
    "through_weights": [lambda rng, n, m, k: pairs_of(rng, n, k, 3)],
    "numerator_adjoint": [
        lambda rng, n, m, k: (
            *pairs_of(rng, n, k, 2),
            positive(rng, 1, k),
            positive(rng, n, k),
            np.zeros((n, k)),
        )
    ],
    "masked": [lambda rng, n, m, k: (*pairs_of(rng, n, k, 3), 0.1)],
    "mask_forward": [
        lambda rng, n, m, k: (*pairs_of(rng, n, k, 3), 0.1, *(np.zeros((n, k)) for _ in "dXy"))
    ],
    "mask_adjoint": [
        lambda rng, n, m, k: (*pairs_of(rng, n, k, 4), *(np.zeros((n, k)) for _ in "sr"))
    ],
    "row_max": [short_rows],
    "exp_below": [short_rows],
    "softmax": [short_rows],
    "log_softmax": [short_rows],
    "log_above": [lambda rng, n, m, k: (positive(rng, n, k), 0.5, np.zeros((n, k)))],
    "max_plus": [
        table_of_each,
        lambda rng, *sizes: (*short_rows(rng, *sizes), table_of_each(rng, 1, *sizes[1:])[1][0]),
    ],
    "passed": [
        lambda rng, *sizes, back=back, keep=keep: chains(rng, *sizes, back, keep)
        for back in (False, True)
        for keep in (False, True)
    ],
    "passed_adjoint": [
        lambda rng, *sizes, back=back: chains_adjoint(rng, *sizes, back)
        for back in (False, True)
    ],
    "sigmoid": [lambda rng, n, m, k: (9 * rng.normal(size=(n, k)),)],
    "sigmoid_of_sum": [
        lambda rng, n, m, k: (9 * rng.normal(size=(n, k)), 9 * rng.normal(size=k))
    ],
    "sigmoid_adjoint": [lambda rng, n, m, k: pairs_of(rng, n, k, 2)],
    "log_gradient": [lambda rng, *sizes: update(rng, *sizes)[:2]],
    "adam": [lambda rng, *sizes: (*update(rng, *sizes), (0.9, 0.999), 1e-3, 0.1)],
    "exponentiated": [
        lambda rng, *sizes: (*update(rng, *sizes), (0.9, 0.999), 1e-3, 0.1, 0.15, 1e-4)
    ],
    "multiplicative": [
        lambda rng, *sizes, eta=eta: (
            update(rng, *sizes)[0],
            *(positive(rng, int(np.prod(sizes))) for _ in range(2)),
            *(1e-3, eta, 2.0, 1e-4),
        )
        for eta in (1.0, 0.5)
    ],
}
every_call = pytest.mark.parametrize(
    ("name", "draw"),
    [(name, draw) for name, draws in ARGUMENTS.items() for draw in draws],
    ids=[f"{name} {i}" for name, draws in ARGUMENTS.items() for i in range(len(draws))],
)


def is_real(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def cast(arguments, dtype):
    """Return copies of the arrays of reals in a dtype, and the other arguments as they are."""
    return [a.astype(dtype) if is_real(a) else a for a in arguments]


def compiled(name):
    """Return a compiled function; that of chains leaves some of them to NumPy."""
    return FUSED[name] if name in ("passed", "passed_adjoint") else getattr(COMPILED, name)


def results(function, arguments):
    """Return what a function returns, and its arguments, which it may have changed."""
    with np.errstate(all="ignore"):
        returned = function(*arguments)
    return returned if isinstance(returned, tuple) else (returned,), arguments


def left_alone(name):
    """Return which arguments hold results: an array that may be overwritten need not."""
    changed = {
        "adam": (0, 2, 3),
        "exponentiated": (0, 2, 3),
        "log_gradient": (1,),
        "multiplicative": (0,),
        "log_above": (0,),
        "fraction": (1,),
        "numerator_adjoint": (4,),
        "masked": (0,),
        "mask_forward": (4, 5, 6),
        "mask_adjoint": (4, 5),
    }
    return changed.get(name, ())


def assert_same(name, found, expected, **tolerance):
    (returned, arguments), (expected_returned, expected_arguments) = found, expected
    pairs = [*zip(returned, expected_returned, strict=True)]
    pairs += [(arguments[i], expected_arguments[i]) for i in left_alone(name)]
    for a, b in pairs:
        if isinstance(b, np.ndarray) and a is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a is not None:  # what the adjoint computes again
            assert_allclose(a, b, **tolerance)


@needs_core
def test_every_compiled_function_has_a_twin_and_is_tested():
    compiled = {name for name, value in vars(COMPILED).items() if callable(value)}
    assert compiled == set(FUSED) == set(ARGUMENTS)


@needs_core
@of_both
@of_sizes
@every_call
def test_results_are_those_of_numpy(name, draw, sizes, dtype):
    arguments = draw(np.random.default_rng(0), *sizes)
    expected = results(FUSED[name].__wrapped__, cast(arguments, dtype))
    found = results(compiled(name), cast(arguments, dtype))
    scale = max((np.abs(a).max(initial=0) for a in expected[0] if a is not None), default=1)
    tolerance = {"rtol": RTOL[dtype], "atol": 30 * ATOL[dtype] * max(scale, 1)}
    assert_same(name, found, expected, **tolerance)


@needs_core
@of_both
@every_call
@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "0", "denormal"])
def test_edge_values_are_treated_as_by_numpy(name, draw, kind, dtype):
    arguments = draw(np.random.default_rng(0), 4, 5, 19)
    value = dtype(np.finfo(dtype).tiny / 8 if kind == "denormal" else kind)
    for place in range(len(arguments)):
        if not is_real(arguments[place]):
            continue
        spoiled = cast(arguments, dtype)
        spoiled[place].flat[:: max(1, spoiled[place].size // 3)] = value
        again = [a.copy() if isinstance(a, np.ndarray) else a for a in spoiled]
        expected = results(FUSED[name].__wrapped__, spoiled)
        found = results(compiled(name), again)
        for a, b in zip(found[0], expected[0], strict=True):
            if a is not None and b is not None:
                # a sum of large terms and infinities may be either infinite or NaN
                assert_array_equal(np.isfinite(a), np.isfinite(b))
                if kind != "inf" and kind != "-inf":
                    assert_array_equal(np.isnan(a), np.isnan(b))
        if kind in ("0", "denormal"):
            assert_same(name, found, expected, rtol=1e3 * RTOL[dtype], atol=1e3 * ATOL[dtype])


@needs_core
@of_both
def test_exponentials_and_logarithms_are_accurate(dtype):
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    largest = float(np.log(info.max)) * (1 - 1e-6)
    lowest = float(np.log(info.tiny)) + 0.7
    t = np.concatenate([rng.uniform(lowest, largest, 200_000), rng.normal(size=200_000)])
    t = t.astype(dtype)[:, None]
    exact = np.exp(-t.astype(np.longdouble))
    error = np.abs(COMPILED.odds_off(t, 2 * largest) - exact) / np.spacing(exact.astype(dtype))
    # t and -t are both in range only up to the smaller of the two
    assert error[np.abs(t) < -lowest].max() < 2

    x = np.exp(rng.uniform(np.log(info.smallest_subnormal), largest, 200_000)).astype(dtype)
    x = np.concatenate([x, rng.uniform(0.5, 2, 200_000).astype(dtype)])
    exact = np.log(x.astype(np.longdouble))
    found = COMPILED.sum_of_logs(x[:, None, None], 1, 2)[:, 0]
    assert (np.abs(found - exact) / np.spacing(np.abs(exact).astype(dtype))).max() < 2

    special = np.array([0, -1, np.inf, np.nan], dtype)[:, None, None]
    assert_array_equal(
        COMPILED.sum_of_logs(special, 1, 2)[:, 0], np.array([-np.inf, np.nan, np.inf, np.nan])
    )
    t = np.array([[-1e5, 1e5, np.inf, -np.inf, np.nan, 0]], dtype)
    assert_array_equal(COMPILED.odds_off(t, np.inf)[0], [np.inf, 0, 0, np.inf, np.nan, 1])


def spoilt(a, how):
    """Return an array of the same values, or nearly, that a compiled function does not take."""
    if how == "order":
        return np.repeat(a, 2, axis=-1)[..., ::2]
    if how == "precision":
        return a.astype(np.float16)
    if how == "bytes":
        return a.astype(a.dtype.newbyteorder())
    return a.astype(np.longdouble)


IN_ANY_ORDER = ("odds_off", "row_max", "softmax", "log_softmax", "sigmoid")


@needs_core
@every_call
@pytest.mark.parametrize("how", ["order", "precision", "bytes", "extended"])
def test_numpy_computes_what_the_core_does_not_take(name, draw, how):
    arguments = draw(np.random.default_rng(0), 3, 4, 5)
    for place, argument in enumerate(arguments):
        if not is_real(argument):
            continue
        given, same = (
            [a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2)
        )
        given[place], same[place] = spoilt(argument, how), spoilt(argument, how)
        if how != "order" or name not in IN_ANY_ORDER:
            untouched = given[place].copy()
            with pytest.raises(ValueError, match=r"."):
                getattr(COMPILED, name)(*given)
            assert_array_equal(given[place], untouched)
        assert_same(
            name,
            results(FUSED[name], given),
            results(FUSED[name].__wrapped__, same),
            rtol=1e-12,
            atol=1e-14,
        )


@needs_core
def test_arrays_of_wrong_shapes_are_left_to_numpy():
    t = np.ones((3, 4))
    with pytest.raises(ValueError, match="shape"):
        COMPILED.within(t, np.ones((3, 5)), 1.0)
    with pytest.raises(ValueError, match="shape"):
        COMPILED.pair_ratios(t, np.ones((3, 4, 5)), np.ones((4, 6)), False)
    with pytest.raises(ValueError, match="read-only"):
        COMPILED.within(np.broadcast_to(1.0, (1, 1)), t[:1, :1], 1.0)
    with pytest.raises((TypeError, AttributeError)):
        COMPILED.within(t, [[1.0]], 1.0)


@needs_core
@of_both
def test_the_core_takes_all_but_very_strong_couplings(dtype):
    field, table, *route = cast(chains(np.random.default_rng(0), 3, 40, 5, False), dtype)
    field *= 1000  # so that most classes are as good as impossible
    expected = FUSED["passed"].__wrapped__(field, table, *route)
    for found, known in zip(COMPILED.passed(field, table, *route), expected, strict=True):
        assert_allclose(found, known, rtol=10 * RTOL[dtype], atol=1e-3 * RTOL[dtype])
    table[0, 1] = 0
    with pytest.raises(ValueError, match="too far apart"):
        COMPILED.passed(field, table, *route)
    assert np.isfinite(FUSED["passed"](field, table, *route)[0]).all()


@needs_core
@pytest.mark.parametrize("there_and_back", [False, True])
def test_routes_that_lead_beyond_the_rows(there_and_back):
    rng = np.random.default_rng(0)
    field, table, order, steps, linked, *rest = chains(rng, 3, 4, 5, there_and_back)
    for wrong in (order + 1, -order, order[1:], order.astype(np.int16)):
        with pytest.raises(ValueError, match=r"place is beyond|intp is expected"):
            COMPILED.passed(field, table, wrong, steps, linked, *rest)
    for wrong in (steps + 1, -steps - 1, steps[:, :2].copy(), steps.astype(np.float32)):
        with pytest.raises(ValueError, match=r"leads beyond|place is beyond|intp is expected"):
            COMPILED.passed(field, table, order, wrong, linked, *rest)
    for wrong in (linked[1:], linked.astype(int)):
        with pytest.raises(ValueError, match="bool is expected"):
            COMPILED.passed(field, table, order, steps, wrong, *rest)
    with pytest.raises(ValueError, match="other rounds"):
        COMPILED.passed(field, table, order, steps, linked, len(steps) + 1, True)


@needs_core
def test_long_rows_of_classes_are_left_to_numpy():
    x = np.random.default_rng(0).normal(size=(4, 200))
    for name in ("row_max", "exp_below", "softmax", "log_softmax"):
        for rows in (x, x[:, :0]):
            with pytest.raises(ValueError, match="the rows are long, or empty"):
                getattr(COMPILED, name)(rows.copy())
        assert_array_equal(FUSED[name](x.copy()), FUSED[name].__wrapped__(x.copy()))


@needs_core
def test_a_power_of_multiplicative_updates_that_is_left_to_numpy():
    rng = np.random.default_rng(0)
    w, pos, neg = (positive(rng, 50) for _ in range(3))
    expected = w * (neg / pos) ** 0.3
    FUSED["multiplicative"](w, pos, neg, 0.0, 0.3, np.inf, 0.0)
    assert_allclose(w, expected)


@needs_core
def test_an_exponent_of_updates_that_is_left_to_numpy():
    X, h, W, projections, floor, _, smallest = ARGUMENTS["updated_row"][0](
        np.random.default_rng(0), 1, 7, 20
    )
    expected = h * (X / (h @ W + floor) @ projections) ** 1.5 + smallest
    found = FUSED["updated_row"](X, h, W, -projections, floor, 1.5, smallest)
    assert_allclose(found, expected)


@needs_core
def test_threads_compute_side_by_side():
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    tables = [positive(rng, 8, 16, 64) for _ in range(16)]
    expected = [COMPILED.sum_of_logs(r, 2, 8) for r in tables]
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda r: COMPILED.sum_of_logs(r, 2, 8), tables)]
    assert_array_equal(found, expected)


PROGRAM = """
from skunfold._kernels import fused, ratios
print(fused.CORE)
print(len(fused.FUSED))
"""


def core_in_a_process(setting, program=PROGRAM):
    environment = {k: v for k, v in os.environ.items() if k != "SKUNFOLD_FUSED"}
    if setting is not None:
        environment["SKUNFOLD_FUSED"] = setting
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )


def test_the_core_is_switched_off():
    assert core_in_a_process("0").stdout == "NumPy (SKUNFOLD_FUSED=0)\n0\n"


def test_another_setting_is_an_error():
    error = core_in_a_process("yes").stderr
    assert "ValueError: SKUNFOLD_FUSED is 'yes' in the environment; give 0 or 1." in error


MISSING = f"import sys; sys.modules['skunfold._kernels._fused'] = None\n{PROGRAM}"


def test_without_the_core_numpy_computes():
    assert core_in_a_process(None, MISSING).stdout == (
        "NumPy (the compiled core was not built)\n0\n"
    )
    assert "and SKUNFOLD_FUSED=1 demands it; install" in core_in_a_process("1", MISSING).stderr


def test_a_core_that_cannot_be_loaded_is_named(monkeypatch):
    from skunfold._kernels import fused

    def fail(name):
        raise ImportError("undefined symbol")

    monkeypatch.setattr(fused, "import_module", fail)
    monkeypatch.delenv("SKUNFOLD_FUSED", raising=False)
    assert fused._load() == (
        None,
        "NumPy (the compiled core cannot be loaded: undefined symbol)",
    )


@needs_core
def test_the_core_says_for_which_processor_it_is():
    assert f"compiled ({COMPILED.PROCESSOR})" == CORE
