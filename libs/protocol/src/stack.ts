import { allocate, type TensorData } from './datatype';
import { elementCount, type Tensor } from './tensor';

/** The first row of a tensor, as a tensor of one row. */
export function firstRow({ name, datatype, shape, data }: Tensor): Tensor {
  const row = [1, ...shape.slice(1)];
  return { name, datatype, shape: row, data: data.slice(0, elementCount(row)) };
}

/** Tensors of one row each, alike but for their elements, as the rows of one. */
export function stackRows(rows: readonly [Tensor, ...Tensor[]]): Tensor {
  const [{ name, datatype, shape, data: first }] = rows;
  const size = first.length;
  const data = allocate(datatype, rows.length * size);
  rows.forEach((row, r) => {
    for (let i = 0; i < size; i++) put(data, r * size + i, row.data[i]);
  });
  return { name, datatype, shape: [rows.length, ...shape.slice(1)], data };
}

/** Whether two lists of tensors are alike but for their rows and elements. */
export function sameRows(first: readonly Tensor[], other: readonly Tensor[]): boolean {
  return (
    first.length === other.length &&
    first.every(({ name, shape }, i) => {
      const peer = other[i];
      return peer?.name === name && shape.slice(1).join() === peer.shape.slice(1).join();
    })
  );
}

function put(data: TensorData, index: number, value: unknown): void {
  (data as unknown[])[index] = value;
}
