// The lock file must name every platform's variant of every native package, or `npm ci` fails elsewhere; and no registry
// host, or it works only where that host is.
import { readFileSync } from 'node:fs';
import path from 'node:path';

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const { packages } = JSON.parse(readFileSync(file, 'utf8'));
const entries = Object.entries(packages);
const named = new Set(
  entries.map(([place]) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)),
);

const faults = entries.flatMap(([place, { optionalDependencies = {}, resolved, integrity, link }]) => [
  ...Object.keys(optionalDependencies)
    .filter((name) => !named.has(name))
    .map((name) => `${place || 'the project'} needs ${name}, which is missing`),
  ...(/^(https?|git)/.test(resolved ?? '') ? [`${place} names a host: ${resolved}`] : []),
  ...(place !== '' && !link && !integrity ? [`${place} has no integrity`] : []),
]);
for (const fault of faults) console.error(fault);
console.log(`package-lock.json: ${entries.length - 1} packages, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
