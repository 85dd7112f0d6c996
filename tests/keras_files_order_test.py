"""Networks whose layers can be called one after the other, and those that wait for ever."""

import pytest

from tfdam.keras_files import order as keras_order


def layer(name, *calls, kind="Conv2D", **config):
  return {"name": name, "class_name": kind, "config": config, "inbound_nodes": list(calls)}


def call(*of, **arguments):
  return [[name, number, 0, arguments] for name, number in of]


IMAGE = layer("image", kind="InputLayer")
INNER = {"layers": [layer("inner_image", kind="InputLayer")]}


@pytest.mark.parametrize(
  "layers",
  [
    [IMAGE, layer("a", call(("image", 0))), layer("b", call(("a", 0), ("image", 0)))],
    # Keras finds the order itself.
    [layer("b", call(("a", 0))), layer("a", call(("image", 0))), IMAGE],
    # A layer that is called twice, the second time on what follows it.
    [
      IMAGE, layer("a", call(("image", 0)), call(("b", 0))), layer("b", call(("a", 0))),
      layer("c", call(("a", 1))),
    ],
    # A network's first call was that of its own input.
    [IMAGE, layer("net", call(("image", 0)), kind="Functional", **INNER),
     layer("b", call(("net", 1)))],
    [IMAGE, layer("net", call(("image", 0)), kind="Mine>Net", **INNER),
     layer("b", call(("net", 0)))],
    # Keras 3 counts a network's calls in the network around it alone.
    [IMAGE, layer("net", {"args": [{"keras_history": ["image", 0, 0]}]},
                  kind="Sequential", **INNER),
     layer("b", {"args": [{"keras_history": ["net", 0, 0]}]})],
    # A list of texts among the arguments, of Keras 3.
    [IMAGE, layer("a", {"args": [{"keras_history": ["image", 0, 0]}],
                        "kwargs": {"axes": ["x", "y", "z"]}})],
    # Constants and tensors among the arguments.
    [IMAGE, layer("a", [["_CONSTANT_VALUE", -1, 2.0, {"x": ["image", 0, 0]}]])],
  ],
)  # fmt: skip
def test_good_networks_wait_for_nothing(layers):
  assert keras_order.waiting({"layers": layers}) == []


@pytest.mark.parametrize(
  ("layers", "names"),
  [
    ([IMAGE, layer("a", call(("b", 0))), layer("b", call(("a", 0)))], ["a", "b"]),
    ([IMAGE, layer("a", call(("a", 0)))], ["a"]),
    ([IMAGE, layer("a"), layer("b", call(("a", 0)))], ["b"]),
    ([IMAGE, layer("a", call(("image", 0))), layer("b", call(("a", 1)))], ["b"]),
    ([IMAGE, layer("a", call(("nowhere", 0)))], ["a"]),
    ([IMAGE, layer("a", call(("image", 0))), layer("b", call(("a", "0")))], ["b"]),
    ([IMAGE, layer("a", call(("image", 0))), layer("b", call(("a", -1)))], ["b"]),
    (
      [IMAGE, layer("a", call(("image", 0), mask=["b", 0, 0])),
       layer("b", call(("a", 0)))],
      ["a", "b"],
    ),
    ([IMAGE, {**layer("a"), "inbound_nodes": 7}, layer("b", call(("a", 0)))], ["b"]),
    (
      [IMAGE, layer("net", call(("image", 0)), kind="Functional", **INNER),
       layer("b", call(("net", 0)))],
      ["b"],
    ),
  ],
)  # fmt: skip
def test_layers_that_wait_for_ever_are_named(layers, names):
  assert keras_order.waiting({"layers": layers}) == names


@pytest.mark.parametrize(
  "config", [None, [], {}, {"layers": 3}, {"layers": [3]}, {"layers": [{"name": "a"}]}]
)
def test_what_is_no_functional_network_has_no_order(config):
  assert keras_order.waiting(config) == []
