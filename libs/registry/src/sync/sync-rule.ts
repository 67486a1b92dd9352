import { DomainError } from '@sibyl/kernel';
import { FaultList, type JsonObject } from '../json-document';
import { Members } from '../members';

/** How a model follows another one in an MLflow registry. */
export interface SyncRule {
  /** Absent: the server of MLFLOW_TRACKING_URI. */
  readonly registryUri?: string;
  /** Name of the model there. */
  readonly name: string;
  /** Stages whose newest version is wanted; the first that has one gives it. */
  readonly stages?: readonly string[];
  /** Instead of stages. */
  readonly alias?: string;
  /** Stages that a version is taken from where that names none: it then stands in, and answers say so. */
  readonly fallback: readonly string[];
  readonly ttlSeconds: number;
  /** The alias here that is moved to each new version, if the policy lets it. */
  readonly promote?: string;
}

const STAGES = ['Production'];
const FALLBACK = ['Production', 'Staging', 'None'];
const TTL_SECONDS = 3600;
const TTL_LEAST = 10;
const TTL_MOST = 30 * 86_400;
const NAMES_MAX = 10;
const URL_MAX = 512;
const NAME_MAX = 256;

/** Reads the `sync` of a policy as a request has it. Throws invalid_parameter with every fault. */
export function readSync(value: JsonObject): SyncRule {
  const faults = new FaultList();
  const members = new Members(value, '/sync', faults);
  const registryUri = readServer(members);
  const promote = members.text('promote', NAME_MAX);
  const rule = {
    ...(registryUri === undefined ? {} : { registryUri }),
    name: members.text('name', NAME_MAX) ?? '',
    ...readWanted(members),
    fallback: members.names('fallback', NAMES_MAX) ?? FALLBACK,
    ttlSeconds: readTtl(members),
    ...(promote === undefined ? {} : { promote }),
  };
  if (rule.name === '') members.fault('name', 'the name of the model in MLflow');
  if (faults.none) return rule;
  throw new DomainError('invalid_parameter', 'The policy cannot be kept.', { faults: faults.faults });
}

/** An alias, or stages. */
function readWanted(members: Members): Pick<SyncRule, 'alias' | 'stages'> {
  const alias = members.text('alias', NAME_MAX);
  const stages = members.names('stages', NAMES_MAX);
  if (alias === undefined) return { stages: stages ?? STAGES };
  if (stages !== undefined) members.fault('stages', 'stages or an alias, not both');
  return { alias };
}

function readServer(members: Members): string | undefined {
  const server = members.text('registry_uri', URL_MAX);
  if (server !== undefined && !isServer(server))
    members.fault('registry_uri', 'http(s)://host[:port] without credentials');
  return server;
}

function readTtl(members: Members): number {
  const seconds = members.number('ttl_seconds') ?? TTL_SECONDS;
  if (!(Number.isSafeInteger(seconds) && seconds >= TTL_LEAST && seconds <= TTL_MOST))
    members.fault('ttl_seconds', `a whole number from ${TTL_LEAST} to ${TTL_MOST}`);
  return seconds;
}

function isServer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}
