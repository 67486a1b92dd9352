/** What a file is, when its first bytes say plainly that it is no ONNX file; and what to do about it. */
interface ForeignFormat {
  readonly name: string;
  readonly hint: string;
}

/** How many first bytes are looked at. */
const HEAD_BYTES = 512;

interface Signature {
  readonly at: number;
  /** Bytes as a latin1 string. */
  readonly bytes: string;
  readonly format: ForeignFormat;
}

const EXPORT =
  'Export the model to ONNX with the converter of its framework (skl2onnx, onnxmltools, torch.onnx, tf2onnx).';
const UNPACK = 'Unpack it and send the files of the package one by one; archives are never unpacked here.';
const WRONG_FILE = 'This is not a model file.';

const PICKLE = { name: 'a Python pickle (joblib, scikit-learn)', hint: `Pickles run code when loaded. ${EXPORT}` };
const ZIP = { name: 'a ZIP archive (PyTorch .pt, Keras .keras, NumPy .npz)', hint: `${UNPACK} ${EXPORT}` };
const ORT = { name: 'a model in ONNX Runtime’s own format (.ort)', hint: 'Send the ONNX file that it was made from.' };
const HDF5 = { name: 'an HDF5 file (Keras .h5)', hint: EXPORT };
const GGUF = { name: 'a GGUF or GGML file (llama.cpp)', hint: EXPORT };
const TFLITE = { name: 'a TensorFlow Lite file', hint: 'Export the model to ONNX with tf2onnx.' };
const ELF = { name: 'a program or native library', hint: WRONG_FILE };
const LFS = { name: 'a Git LFS pointer', hint: 'Fetch the file itself with `git lfs pull`.' };
const LIGHTGBM = { name: 'a LightGBM text model', hint: 'Export it with onnxmltools.convert_lightgbm.' };

const SIGNATURES: readonly Signature[] = [
  ...[2, 3, 4, 5].map((version) => signature(0, `\x80${String.fromCharCode(version)}`, PICKLE)),
  ...['(dp', '(lp', 'ccopy_reg', 'c__builtin__'].map((bytes) => signature(0, bytes, PICKLE)),
  ...['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'].map((bytes) => signature(0, bytes, ZIP)),
  signature(0, '\x1f\x8b', compressed('gzip')),
  signature(0, 'BZh', compressed('bzip2')),
  signature(0, '\xfd7zXZ\0', compressed('xz')),
  signature(0, '\x28\xb5\x2f\xfd', compressed('Zstandard')),
  signature(0, '\x04\x22\x4d\x18', compressed('LZ4')),
  ...['\x78\x01', '\x78\x5e', '\x78\x9c', '\x78\xda'].map((bytes) => signature(0, bytes, compressed('zlib (joblib)'))),
  signature(0, '7z\xbc\xaf\x27\x1c', { name: 'a 7-Zip archive', hint: UNPACK }),
  signature(0, 'Rar!', { name: 'a RAR archive', hint: UNPACK }),
  signature(257, 'ustar', { name: 'a tar archive', hint: UNPACK }),
  signature(4, 'ORTM', ORT),
  signature(4, 'TFL3', TFLITE),
  signature(0, '\x89HDF\r\n\x1a\n', HDF5),
  ...['GGUF', 'ggml', 'lmgg', 'tjgg', 'fmgg'].map((bytes) => signature(0, bytes, GGUF)),
  signature(8, '{"', { name: 'a safetensors file', hint: `It holds weights without the model. ${EXPORT}` }),
  signature(0, '\x93NUMPY', { name: 'a NumPy array', hint: EXPORT }),
  signature(0, '\x89PNG', { name: 'a PNG image', hint: WRONG_FILE }),
  signature(0, '\xff\xd8\xff', { name: 'a JPEG image', hint: WRONG_FILE }),
  signature(0, '%PDF', { name: 'a PDF document', hint: WRONG_FILE }),
  ...['\x7fELF', 'MZ\x90', '\xcf\xfa\xed\xfe'].map((bytes) => signature(0, bytes, ELF)),
  signature(0, 'version https://git-lfs', LFS),
  signature(0, 'tree\n', LIGHTGBM),
  signature(0, 'CBM1', { name: 'a CatBoost model', hint: "Export it with save_model(path, format='onnx')." }),
];

/** The oldest pickles are text, and begin with the module and the name of what they call. */
const OLD_PICKLE = /^c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n/;

/** Recognizes formats that are often taken for ONNX, so that the refusal can name them. */
export function foreignFormat(head: Uint8Array): ForeignFormat | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEAD_BYTES)).toString('latin1');
  const found = SIGNATURES.find(({ at, bytes }) => text.startsWith(bytes, at));
  return found?.format ?? (OLD_PICKLE.test(text) ? PICKLE : structuredText(text));
}

function structuredText(text: string): ForeignFormat | undefined {
  const start = text.replace(/^\xef\xbb\xbf/, '').trimStart();
  if (/^[{[]\s*["{[\]}]/.test(start)) return { name: 'a JSON document', hint: EXPORT };
  if (/^<(\?xml|!doctype|html|[a-z]+[ >])/i.test(start)) return { name: 'an XML or HTML document', hint: WRONG_FILE };
  return undefined;
}

function signature(at: number, bytes: string, format: ForeignFormat): Signature {
  return { at, bytes, format };
}

function compressed(name: string): ForeignFormat {
  return { name: `data compressed with ${name}`, hint: 'Unpack it first and send the .onnx file itself.' };
}
