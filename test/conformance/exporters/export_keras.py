"""Keras through tf2onnx, and Keras' own export."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import keras
import numpy as np
import tensorflow as tf
import tf2onnx

from case_writer import case, folder, save


def main():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1), name="image"), keras.layers.Conv2D(4, 3, activation="relu"),
                              keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax", name="digit")])
    rows = np.random.default_rng(0).random((3, 8, 8, 1), dtype=np.float32)
    expected = model.predict(rows, verbose=0)

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="image")])
    def serve(image):
        return {"digit": model(image, training=False)}

    converted, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=17)
    save("keras_tf2onnx", converted)
    case("keras_tf2onnx", "Keras", "tf2onnx, dimensions called unk__1", {"image": rows}, {"digit": expected})
    try:
        model.export(os.path.join(folder("keras_export"), "model.onnx"), format="onnx", verbose=False)
    except Exception as error:  # Keras 3 leaves it to tf2onnx, which does not know every version of it.
        os.rmdir(folder("keras_export"))
        print("keras_export: not made:", str(error)[:100], flush=True)
        return
    import onnx
    made = onnx.load(os.path.join(folder("keras_export"), "model.onnx"))
    case("keras_export", "Keras", "model.export(format='onnx')", {made.graph.input[0].name: rows}, {made.graph.output[0].name: expected})
