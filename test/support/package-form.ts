/** A model package as a multipart upload: the ONNX file and, where given, its manifest. */
export function packageForm(model: Uint8Array, manifest?: Readonly<Record<string, unknown>>): FormData {
  const form = new FormData();
  form.append('files', new Blob([new Uint8Array(model)]), 'model.onnx');
  if (manifest !== undefined) form.append('files', new Blob([JSON.stringify(manifest)]), 'sibyl.json');
  return form;
}
