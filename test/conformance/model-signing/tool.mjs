// The OpenSSF tool in the environment that setup.sh makes.
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const ENVIRONMENT = path.join(ROOT, '.conformance/model-signing/bin');
const LIMIT_MS = 60_000;

export const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];

function run(command, ...rest) {
  const { status, stdout, stderr } = spawnSync(command, rest, {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, LC_ALL: 'C.UTF-8' },
  });
  return { ok: status === 0, output: `${stdout}${stderr}`.trim() };
}

export function setUp() {
  const { ok, output } = run(path.join(import.meta.dirname, 'setup.sh'));
  if (!ok) throw new Error(`setup.sh failed: ${output}`);
}

export function toolVersion() {
  return run(path.join(ENVIRONMENT, 'model_signing'), '--version').output;
}

/** `<folder>/model.sig` by the tool, with a private key in a PEM file. */
export function toolSign(folder, key) {
  const signature = path.join(folder, 'model.sig');
  return run(
    path.join(ENVIRONMENT, 'model_signing'),
    'sign',
    'key',
    folder,
    '--private_key',
    key,
    '--signature',
    signature,
  );
}

export function toolVerify(folder, key) {
  const signature = path.join(folder, 'model.sig');
  return run(
    path.join(ENVIRONMENT, 'model_signing'),
    'verify',
    'key',
    folder,
    '--public_key',
    key,
    '--signature',
    signature,
  );
}

/** Sibyl's own command. */
export function sibylSign(folder, key) {
  return run(process.execPath, path.join(ROOT, 'scripts/sign-model.mjs'), folder, '--key', key);
}

/** A new pair of key files in a folder: `<name>.pem` and `<name>.pub`. */
export function makeKey(folder, name, namedCurve) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  const secret = path.join(folder, `${name}.pem`);
  const open = path.join(folder, `${name}.pub`);
  fs.writeFileSync(secret, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  fs.writeFileSync(open, publicKey.export({ type: 'spki', format: 'pem' }));
  return { secret, open };
}
