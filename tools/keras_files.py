"""The files of keras_to_carousel.py: Keras' .keras and .h5 read with h5py alone, and safetensors in numpy."""

import io
import json
import os
import re
import struct
import tempfile
import zipfile

import numpy
from keras_layers import NoCounterpart

# ---- Keras ----


class Layer:
    def __init__(self, kind, config, arrays):
        self.kind, self.config, self.arrays = kind, config, arrays


class Model:
    """Layers in order, the input's shape with None for what is open, and the name of the loss trained with or None."""

    def __init__(self, layers, input_shape, loss):
        self.layers, self.input_shape, self.loss = layers, input_shape, loss


def snake_case(name):
    """Of a class, as Keras names its groups."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def arrays_below(group):
    """Datasets of a group and of the groups in it: own variables by number, then parts in the order they were made."""
    if group is None:
        return []
    arrays = [numpy.asarray(group["vars"][key]) for key in sorted(group.get("vars", {}), key=int)]
    for part in ("cell", "forward_layer", "backward_layer"):
        if part in group:
            arrays += arrays_below(group[part])
    return arrays


def read_zip(path):
    """(model's configuration, training's configuration, function of a layer's class, name and place -> arrays)"""
    import h5py

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")
    met = {}

    def arrays_of(kind, name):
        key = snake_case(kind)
        count = met[key] = met.get(key, -1) + 1
        layers = weights.get("layers", weights.get("_layer_checkpoint_dependencies", {}))
        for candidate in (f"{key}_{count}" if count else key, name):
            if candidate in layers:
                return arrays_below(layers[candidate])
        return []

    return config, config.get("compile_config") or {}, arrays_of


def read_h5(path):
    import h5py

    file = h5py.File(path, "r")
    if "model_config" not in file.attrs:
        raise NoCounterpart("the file has weights but no architecture: save the whole model")
    groups = file["model_weights"]

    def arrays_of(kind, name):
        del kind
        group = groups.get(name)
        names = group.attrs["weight_names"] if group is not None else ()
        return [numpy.asarray(group[n.decode() if isinstance(n, bytes) else n]) for n in names]

    training = json.loads(file.attrs["training_config"]) if "training_config" in file.attrs else {}
    return json.loads(file.attrs["model_config"]), training, arrays_of


def names_in(nodes):
    """Names of the layers whose outputs are meant, in Keras 3's writing and in Keras 2's."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            return [nodes["keras_history"][0]]
        return [name for value in nodes.values() for name in names_in(value)]
    if isinstance(nodes, list):
        if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            return [nodes[0]]
        return [name for value in nodes for name in names_in(value)]
    return []


def sources_of(entry):
    """(what a functional layer takes, the masks that it is given)"""
    nodes = entry["inbound_nodes"]
    if all(isinstance(node, dict) for node in nodes):
        given = [node.get("kwargs", {}) for node in nodes]
        return names_in([node["args"] for node in nodes]), names_in([kwargs.get("mask") for kwargs in given])
    return names_in(nodes), []


def is_mask(entry, first):
    """Keras 3 writes the mask of Embedding(mask_zero=True) as a layer of its own: the input is not 0."""
    nodes = entry.get("inbound_nodes", [])
    return (
        entry["class_name"] == "NotEqual"
        and len(nodes) == 1
        and nodes[0]["args"][1:] == [0]
        and (names_in(nodes) == [first])
    )


def in_line(entries):
    """The layers, each of which must take what the one before it gives, and nothing else."""
    first = entries[0]["config"]["name"]
    masks = [entry["config"]["name"] for entry in entries if is_mask(entry, first)]
    entries = [entry for entry in entries if not is_mask(entry, first)]
    previous = None
    for entry in entries:
        name = entry["config"]["name"]
        sources, given = sources_of(entry) if "inbound_nodes" in entry else ([previous] if previous else [], [])
        if sources != ([previous] if previous else []):
            raise NoCounterpart(
                f"{entry['class_name']} {name!r} takes {', '.join(sources) or 'nothing'}: Carousel's layers "
                "stand in one line, each taking the one before"
            )
        if not set(given) <= set(masks):
            raise NoCounterpart(
                f"{entry['class_name']} {name!r} takes the mask {given[0]!r}: Carousel only masks padding"
            )
        previous = name
    return entries


def plain(value):
    """Keras 3 writes objects where Keras 2 wrote their settings: a name for a class that has none."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return list(value["items"])
    return value


def input_shape_of(entries):
    config = entries[0]["config"]
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if not shape:
        shape = (entries[0].get("build_config") or {}).get("input_shape")
    if not shape and entries[0]["class_name"] == "Embedding" and config.get("input_length"):
        shape = [None, config["input_length"]]
    return list(shape or [None, None])


def loss_of(training):
    loss = training.get("loss")
    return loss.get("config", {}).get("name", loss.get("class_name")) if isinstance(loss, dict) else loss


def read_model(path):
    config, training, arrays_of = read_zip(path) if zipfile.is_zipfile(path) else read_h5(path)
    if config["class_name"] not in ("Sequential", "Functional", "Model"):
        raise NoCounterpart(f"the model is {config['class_name']}: neither Sequential nor functional")
    inner = config["config"]
    entries = in_line(inner["layers"] if isinstance(inner, dict) else inner)
    layers = []
    for entry in entries:
        settings = {name: plain(value) for name, value in entry["config"].items()}
        settings["build_config"] = entry.get("build_config")
        layers.append(Layer(entry["class_name"], settings, arrays_of(entry["class_name"], settings["name"])))
    return Model(layers, input_shape_of(entries), loss_of(training))


# ---- safetensors ----


def write_new(path, content, replace=True):
    """Written beside, then renamed."""
    if os.path.exists(path) and not replace:
        raise NoCounterpart(f"{path} is there already: give --force to replace it")
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def write_safetensors(path, tensors, metadata):
    header, offset, content = {"__metadata__": metadata}, 0, []
    for name, tensor in tensors.items():
        values = numpy.ascontiguousarray(tensor, dtype="<f4")
        if not numpy.isfinite(values).all():
            raise NoCounterpart(f"a value of {name} is not finite")
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
        content.append(values.tobytes())
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    write_new(path, b"".join([struct.pack("<Q", len(text)), text, *content]))


def read_safetensors(path):
    with open(path, "rb") as file:
        content = file.read()
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        raise NoCounterpart("the file is no safetensors file")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise NoCounterpart(f"{name} is {entry['dtype']}: Carousel writes F32")
        first, beyond = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[first:beyond], "<f4").reshape(entry["shape"])
    return tensors, metadata
