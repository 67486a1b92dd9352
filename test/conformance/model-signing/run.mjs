// Sibyl and the OpenSSF tool verify what the other has signed, and refuse the same things. Needs a built tree, python3 and, the
// first time, a package index.
//   node test/conformance/model-signing/run.mjs
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { table } from '../../bench/figures.mjs';
import { startServer } from '../../support/server.mjs';
import { CURVES, makeKey, setUp, sibylSign, toolSign, toolVerify, toolVersion } from './tool.mjs';

const PACKAGE = path.join(import.meta.dirname, 'vectors.json');
const { files } = JSON.parse(fs.readFileSync(PACKAGE, 'utf8'));

/** What both must refuse, by the file that they must name. */
const SPOILED = [
  ['a changed file', 'sibyl.json', (folder) => fs.appendFileSync(path.join(folder, 'sibyl.json'), ' ')],
  ['an extra file', 'evil.py', (folder) => fs.writeFileSync(path.join(folder, 'evil.py'), '')],
  ['a missing file', 'notes.txt', (folder) => fs.rmSync(path.join(folder, 'notes.txt'))],
];

let made = 0;
function makePackage(work) {
  const name = `signed-${++made}`;
  const folder = path.join(work, 'import', name);
  for (const [file, content] of Object.entries(files)) {
    const target = path.join(folder, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, Buffer.from(content, 'base64'));
  }
  const manifest = path.join(folder, 'sibyl.json');
  fs.writeFileSync(manifest, JSON.stringify({ ...JSON.parse(fs.readFileSync(manifest, 'utf8')), name }));
  return { name, folder };
}

async function register(server, { name, folder }) {
  const { status, body } = await server.call('POST', `/v1/models/${name}/versions`, { body: { source_uri: folder } });
  return { status, body, named: (body.errors ?? []).map(({ pointer }) => pointer.slice(1)) };
}

const rows = [];
function check(what, holds, seen) {
  rows.push([what, holds ? 'yes' : `NO: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`]);
}

async function bothWays(server, work, signer, sign, key) {
  const good = makePackage(work);
  const signature = sign(good.folder, key.secret);
  if (!signature.ok) throw new Error(signature.output);
  const theirs = toolVerify(good.folder, key.open);
  check(`${signer}: the tool verifies it`, theirs.ok, theirs.output);
  const ours = await register(server, good);
  check(`${signer}: Sibyl verifies it`, ours.body.package_signature?.status === 'verified', ours.body);
}

async function refusals(server, work, key) {
  for (const [what, named, spoil] of SPOILED) {
    const bad = makePackage(work);
    toolSign(bad.folder, key.secret);
    spoil(bad.folder);
    const theirs = toolVerify(bad.folder, key.open);
    check(`${what}: the tool refuses it`, !theirs.ok && theirs.output.includes(named), theirs.output);
    const ours = await register(server, bad);
    check(`${what}: Sibyl refuses it by name`, ours.status === 422 && ours.named.join() === named, ours.body);
  }
}

setUp();
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-conformance-'));
const trusted = path.join(work, 'trusted');
fs.mkdirSync(trusted);
const keys = CURVES.map((curve) => ({ curve, ...makeKey(work, curve, curve) }));
const ed25519 = generateKeyPairSync('ed25519');
fs.writeFileSync(path.join(work, 'ed.pem'), ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }));
fs.writeFileSync(path.join(trusted, 'ed.pub'), ed25519.publicKey.export({ type: 'spki', format: 'pem' }));
// Secrets do not lie where public keys are looked for.
for (const { curve, open } of keys) fs.copyFileSync(open, path.join(trusted, `${curve}.pub`));
const server = await startServer({
  env: {
    SIBYL_MODELS: '',
    SIBYL_TRUSTED_KEYS: trusted,
    SIBYL_SIGNATURE_POLICY: 'require',
    SIBYL_IMPORT_FOLDERS: path.join(work, 'import'),
  },
});
try {
  for (const key of keys) {
    await bothWays(server, work, `signed by the tool, ${key.curve}`, toolSign, key);
    await bothWays(server, work, `signed by Sibyl, ${key.curve}`, sibylSign, key);
  }
  await refusals(server, work, keys[0]);
  const own = makePackage(work);
  sibylSign(own.folder, path.join(work, 'ed.pem'));
  const ours = await register(server, own);
  check('signed by Sibyl, Ed25519: Sibyl verifies it', ours.body.package_signature?.status === 'verified', ours.body);
} finally {
  await server.stop();
  fs.rmSync(work, { recursive: true, force: true });
}
console.log(table([['check', 'holds'], ...rows]));
const failed = rows.filter(([, holds]) => holds !== 'yes').length;
console.log(`${toolVersion()}: ${rows.length - failed} of ${rows.length} checks hold`);
process.exitCode = failed === 0 ? 0 : 1;
