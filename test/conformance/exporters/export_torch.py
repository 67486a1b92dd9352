"""PyTorch by both exporters, and what people do to files afterwards: FP16, INT8, external data, other declarations."""
import os
import warnings

import numpy as np
import onnx
import torch
from onnx import helper
from onnxconverter_common import float16
from onnxruntime.quantization import QuantType, quantize_dynamic

from case_writer import case, folder, save

warnings.filterwarnings("ignore")
torch.manual_seed(0)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))

    def forward(self, x):
        return torch.softmax(self.layers(x), dim=-1)


class Two(torch.nn.Module):
    def forward(self, a, b):
        return a - 2 * b, a * b


NET = Net().eval()
ROWS = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32)
with torch.no_grad():
    EXPECTED = NET(torch.from_numpy(ROWS)).numpy()
TOOL = "PyTorch"


def path(name):
    return os.path.join(folder(name), "model.onnx")


def answer(name, what, toolkit=TOOL, **more):
    case(name, toolkit, what, {"x": ROWS}, {"y": EXPECTED}, **more)


def legacy(name, **options):
    torch.onnx.export(NET, (torch.from_numpy(ROWS[:1]),), path(name), input_names=["x"], output_names=["y"],
                      dynamo=False, opset_version=17, **options)


def dynamo(name, rows=2, **options):
    torch.onnx.export(NET, (torch.from_numpy(ROWS[:rows]),), path(name), input_names=["x"], output_names=["y"],
                      dynamo=True, verbose=False, **options)


def main():
    legacy("torch_legacy", dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    answer("torch_legacy", "dynamo=False, dynamic_axes")
    legacy("torch_legacy_fixed")
    answer("torch_legacy_fixed", "dynamo=False, no dynamic_axes: batch 1")
    legacy("torch_optional", dynamic_axes={"x": {0: "batch"}, "y": {0: "n"}}, keep_initializers_as_inputs=True)
    answer("torch_optional", "weights as optional inputs, dimensions called batch and n")
    shapes = {"dynamic_shapes": {"x": {0: torch.export.Dim("batch")}}}
    dynamo("torch_dynamo", external_data=False, **shapes)
    answer("torch_dynamo", "dynamo=True, weights inside")
    dynamo("torch_external", external_data=True, **shapes)
    answer("torch_external", "dynamo=True, weights in model.onnx.data")
    dynamo("torch_dynamo_fixed", rows=2, external_data=False)
    answer("torch_dynamo_fixed", "dynamo=True, no dynamic shapes: batch 2")
    two_inputs()
    afterwards()


def two_inputs():
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    torch.onnx.export(Two(), (a, b), path("torch_reordered"), input_names=["a", "b"], output_names=["difference", "product"],
                      dynamo=False, opset_version=17, dynamic_axes={n: {0: "n"} for n in ("a", "b", "difference", "product")})
    model = onnx.load(path("torch_reordered"))
    inputs = list(model.graph.input)
    del model.graph.input[:]
    model.graph.input.extend(reversed(inputs))
    save("torch_reordered", model)
    difference, product = Two()(a, b)
    case("torch_reordered", TOOL, "inputs in another order", {"a": a.numpy(), "b": b.numpy()},
         {"difference": difference.numpy(), "product": product.numpy()})


def afterwards():
    base = onnx.load(path("torch_legacy"))
    save("torch_fp16", float16.convert_float_to_float16(base))
    answer("torch_fp16", "FP16 throughout", rtol=5e-3, atol=2e-3)
    save("torch_fp16_inside", float16.convert_float_to_float16(base, keep_io_types=True))
    answer("torch_fp16_inside", "FP16 inside, FP32 outside", rtol=5e-3, atol=2e-3)
    folder("torch_int8")
    quantize_dynamic(path("torch_legacy"), path("torch_int8"), weight_type=QuantType.QInt8)
    answer("torch_int8", "INT8 by dynamic quantization", toolkit="ONNX Runtime", rtol=0, atol=0.05)
    bare = onnx.load(path("torch_legacy"))
    for value in (*bare.graph.input, *bare.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.Clear()
    bare.graph.output[0].type.tensor_type.ClearField("shape")
    save("torch_undeclared", bare)
    answer("torch_undeclared", "no dimension names, no output shape", toolkit="onnx")
    wrong = onnx.load(path("torch_legacy"))
    wrong.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3]))
    save("torch_misdeclared", wrong)
    answer("torch_misdeclared", "output declared [1,3]", toolkit="onnx")
