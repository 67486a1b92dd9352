/**
 * The messages of an ONNX file, as far as Sibyl looks into them: field number → name and kind.
 * Documentation texts and device hints are passed over; so is what is not listed here, up to a limit.
 */
export const SCHEMA = {
  ModelProto: shape({
    1: int('ir_version'),
    2: text('producer_name'),
    3: text('producer_version'),
    4: ignored('domain'),
    5: ignored('model_version'),
    6: ignored('doc_string'),
    7: message('graph', 'GraphProto'),
    8: messages('opset_import', 'OperatorSetIdProto'),
    14: messages('metadata_props', 'StringStringEntryProto'),
    20: messages('training_info', 'TrainingInfoProto'),
    25: messages('functions', 'FunctionProto'),
    26: ignored('configuration'),
  }),
  TrainingInfoProto: shape({
    1: message('initialization', 'GraphProto'),
    2: message('algorithm', 'GraphProto'),
    3: messages('initialization_binding', 'StringStringEntryProto'),
    4: messages('update_binding', 'StringStringEntryProto'),
  }),
  FunctionProto: shape({
    1: text('name'),
    2: ignored('since_version'),
    3: ignored('status'),
    4: texts('input'),
    5: texts('output'),
    6: texts('attribute'),
    7: messages('node', 'NodeProto'),
    8: ignored('doc_string'),
    9: messages('opset_import', 'OperatorSetIdProto'),
    10: text('domain'),
    11: messages('attribute_proto', 'AttributeProto'),
    12: messages('value_info', 'ValueInfoProto'),
    13: text('overload'),
    14: messages('metadata_props', 'StringStringEntryProto'),
  }),
  GraphProto: shape({
    1: messages('node', 'NodeProto'),
    2: text('name'),
    5: messages('initializer', 'TensorProto'),
    10: ignored('doc_string'),
    11: messages('input', 'ValueInfoProto'),
    12: messages('output', 'ValueInfoProto'),
    13: messages('value_info', 'ValueInfoProto'),
    14: messages('quantization_annotation', 'TensorAnnotation'),
    15: messages('sparse_initializer', 'SparseTensorProto'),
    16: messages('metadata_props', 'StringStringEntryProto'),
  }),
  NodeProto: shape({
    1: texts('input'),
    2: texts('output'),
    3: text('name'),
    4: text('op_type'),
    5: messages('attribute', 'AttributeProto'),
    6: ignored('doc_string'),
    7: text('domain'),
    8: text('overload'),
    9: messages('metadata_props', 'StringStringEntryProto'),
    10: ignored('device_configurations'),
  }),
  AttributeProto: shape({
    1: text('name'),
    2: float('f'),
    3: int('i'),
    4: bytes('s'),
    5: message('t', 'TensorProto'),
    6: message('g', 'GraphProto'),
    7: floats('floats'),
    8: ints('ints'),
    9: blobs('strings'),
    10: messages('tensors', 'TensorProto'),
    11: messages('graphs', 'GraphProto'),
    13: ignored('doc_string'),
    14: message('tp', 'TypeProto'),
    15: messages('type_protos', 'TypeProto'),
    20: int('type'),
    21: text('ref_attr_name'),
    22: message('sparse_tensor', 'SparseTensorProto'),
    23: messages('sparse_tensors', 'SparseTensorProto'),
  }),
  TensorProto: shape({
    1: ints('dims'),
    2: int('data_type'),
    3: message('segment', 'Segment'),
    4: floats('float_data', 'packed'),
    5: ints('int32_data', 'packed'),
    6: blobs('string_data'),
    7: ints('int64_data', 'packed'),
    8: text('name'),
    9: bytes('raw_data'),
    10: doubles('double_data', 'packed'),
    11: ints('uint64_data', 'packed'),
    12: ignored('doc_string'),
    13: messages('external_data', 'StringStringEntryProto'),
    14: int('data_location'),
    16: messages('metadata_props', 'StringStringEntryProto'),
  }),
  Segment: shape({ 1: int('begin'), 2: int('end') }),
  SparseTensorProto: shape({
    1: message('values', 'TensorProto'),
    2: message('indices', 'TensorProto'),
    3: ints('dims'),
  }),
  TensorAnnotation: shape({
    1: text('tensor_name'),
    2: messages('quant_parameter_tensor_names', 'StringStringEntryProto'),
  }),
  ValueInfoProto: shape({
    1: text('name'),
    2: message('type', 'TypeProto'),
    3: ignored('doc_string'),
    4: messages('metadata_props', 'StringStringEntryProto'),
  }),
  TypeProto: shape({
    1: message('tensor_type', 'TensorTypeProto'),
    4: message('sequence_type', 'ElementTypeProto'),
    5: message('map_type', 'MapTypeProto'),
    6: ignored('denotation'),
    7: message('opaque_type', 'OpaqueTypeProto'),
    8: message('sparse_tensor_type', 'TensorTypeProto'),
    9: message('optional_type', 'ElementTypeProto'),
  }),
  TensorTypeProto: shape({ 1: int('elem_type'), 2: message('shape', 'TensorShapeProto') }),
  ElementTypeProto: shape({ 1: message('elem_type', 'TypeProto') }),
  MapTypeProto: shape({ 1: int('key_type'), 2: message('value_type', 'TypeProto') }),
  OpaqueTypeProto: shape({ 1: text('domain'), 2: text('name') }),
  TensorShapeProto: shape({ 1: messages('dim', 'Dimension') }),
  Dimension: shape({ 1: int('dim_value'), 2: text('dim_param'), 3: ignored('denotation') }),
  OperatorSetIdProto: shape({ 1: text('domain'), 2: int('version') }),
  StringStringEntryProto: shape({ 1: text('key'), 2: text('value') }),
} as const satisfies Record<string, MessageShape>;

export type MessageName = keyof typeof SCHEMA;

/**
 * `int` is any varint, `float` and `double` are fixed 4 and 8 bytes, the others are length-delimited. `ignored` is passed
 * over however it is laid out: nobody computes with it.
 */
type FieldKind = 'int' | 'float' | 'double' | 'text' | 'bytes' | 'message' | 'ignored';

export interface FieldShape {
  readonly name: string;
  /** Its number in the message. */
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** How writers lay out repeated numbers; readers must take both layouts. */
  readonly packed: boolean;
  readonly message?: string;
}

/** Indexed by field number: an array, because the walk looks here once per field of the file. */
export type MessageShape = readonly (FieldShape | undefined)[];

type UnnumberedField = Omit<FieldShape, 'number'>;

function shape(fields: Readonly<Record<number, UnnumberedField>>): MessageShape {
  const table: (FieldShape | undefined)[] = [];
  for (const [number, field] of Object.entries(fields)) table[Number(number)] = { ...field, number: Number(number) };
  return Array.from(table);
}

function one(name: string, kind: FieldKind): UnnumberedField {
  return { name, kind, repeated: false, packed: false };
}

function many(name: string, kind: FieldKind, layout?: 'packed'): UnnumberedField {
  return { name, kind, repeated: true, packed: layout === 'packed' };
}

function int(name: string): UnnumberedField {
  return one(name, 'int');
}

function float(name: string): UnnumberedField {
  return one(name, 'float');
}

function text(name: string): UnnumberedField {
  return one(name, 'text');
}

function bytes(name: string): UnnumberedField {
  return one(name, 'bytes');
}

function ints(name: string, layout?: 'packed'): UnnumberedField {
  return many(name, 'int', layout);
}

function floats(name: string, layout?: 'packed'): UnnumberedField {
  return many(name, 'float', layout);
}

function doubles(name: string, layout?: 'packed'): UnnumberedField {
  return many(name, 'double', layout);
}

function texts(name: string): UnnumberedField {
  return many(name, 'text');
}

function ignored(name: string): UnnumberedField {
  return one(name, 'ignored');
}

function blobs(name: string): UnnumberedField {
  return many(name, 'bytes');
}

function message(name: string, type: string): UnnumberedField {
  return { ...one(name, 'message'), message: type };
}

function messages(name: string, type: string): UnnumberedField {
  return { ...many(name, 'message'), message: type };
}
