import { Inject } from '@nestjs/common';

/** Token of the process's logger; pino's type is an interface, which the container cannot look up. */
export const LOG = 'sibyl:log';

export const InjectLog = (): ParameterDecorator => Inject(LOG);
