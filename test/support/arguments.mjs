// What stands behind a command.

/** The whole number after `name` on the command line, at least 1. */
export function wholeArgument(name, otherwise) {
  const at = process.argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(process.argv[at + 1]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} needs a whole number of at least 1`);
  return value;
}

/** `--runners N` as a setting of the server; without it the server chooses by its cores. */
export function runnersChosen() {
  return process.argv.includes('--runners') ? { SIBYL_RUNNERS: String(wholeArgument('--runners')) } : {};
}
