/** What one GPU says of itself; a member is absent where it does not tell. */
export interface GpuReading {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Part of the last moment in which it computed, 0 to 1. */
  readonly utilization?: number;
  readonly memoryUsedBytes?: number;
  readonly memoryTotalBytes?: number;
  readonly temperatureCelsius?: number;
  readonly powerWatts?: number;
}

const FIELDS = 'index,uuid,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw';

export const QUERY = [`--query-gpu=${FIELDS}`, '--format=csv,noheader,nounits'];

const GPUS = 64;
const MIB = 1024 * 1024;
/** Drivers write numbers without meaning, up to 2^63, where they know none. */
const PLAUSIBLE = 1e9;

/** Reads the tool's lines; one that is none is left out, a field that is no number too (`[N/A]`, `[Not Supported]`). */
export function parseGpuReadings(text: string): GpuReading[] {
  const readings: GpuReading[] = [];
  for (const line of text.split('\n').slice(0, GPUS)) {
    const fields = line.split(',').map((field) => field.trim());
    const [index = '', uuid = '', ...rest] = fields;
    const numbers = rest.slice(-5).map(numberOf);
    // No name of a GPU has a comma, but nobody has promised it.
    const name = rest.slice(0, -5).join(', ');
    if (!/^\d{1,3}$/.test(index) || !/^[\w-]{1,64}$/.test(uuid) || name === '') continue;
    const [utilization, memoryUsed, memoryTotal, temperature, power] = numbers;
    readings.push({
      index: Number(index),
      uuid,
      name: name.slice(0, 128),
      ...(utilization !== undefined && { utilization: utilization / 100 }),
      ...(memoryUsed !== undefined && { memoryUsedBytes: memoryUsed * MIB }),
      ...(memoryTotal !== undefined && { memoryTotalBytes: memoryTotal * MIB }),
      ...(temperature !== undefined && { temperatureCelsius: temperature }),
      ...(power !== undefined && { powerWatts: power }),
    });
  }
  return readings;
}

function numberOf(field: string): number | undefined {
  if (!/^\d{1,12}(\.\d{1,6})?$/.test(field)) return undefined;
  const value = Number(field);
  return value <= PLAUSIBLE ? value : undefined;
}
