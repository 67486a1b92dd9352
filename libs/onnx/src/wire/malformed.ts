/** The bytes are not what protobuf's wire format allows, so nothing after `position` can be understood. */
export class Malformed extends Error {
  constructor(
    readonly position: number,
    message: string,
  ) {
    super(message);
    this.name = 'Malformed';
  }
}
