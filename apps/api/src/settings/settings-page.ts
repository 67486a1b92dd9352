import type { Setting } from './setting';
import { SETTING_GROUPS } from './settings';

/** docs/settings.md, made from the table that the reader uses. */
export function settingsPage(): string {
  const sections = Object.entries(SETTING_GROUPS).map(
    ([title, group]) => `## ${title}\n\n${table(Object.values(group))}`,
  );
  return `# Settings

Made by \`npm run generate\` from the table in \`apps/api/src/settings/settings.ts\`; a test compares both.

Settings are environment variables, or lines of a file \`.env\` in the folder where the server is started; the environment
wins. A wrong value, an unknown name that begins with \`SIBYL_\`, or in production an unsafe value ends the start with exit
code 78 and a list of everything that is wrong. An empty value counts as unset, except for lists, where it is an empty list.

${sections.join('\n')}`;
}

function table(settings: readonly Setting<never>[] | readonly Setting<unknown>[]): string {
  const rows = (settings as readonly Setting<unknown>[]).map((setting) => {
    const older = setting.older === undefined ? '' : ` Older name: \`${setting.older}\`.`;
    const unsafe = setting.unsafe === undefined ? '' : ' Checked in production.';
    return `| \`${setting.name}\` | ${shown(setting)} | ${setting.type} | ${setting.meaning}${older}${unsafe} |`;
  });
  return `| variable | default | value | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function shown(setting: Setting<unknown>): string {
  if (setting.shown === '') return 'unset';
  return setting.shown.includes('`') || setting.shown.includes(' ') ? setting.shown : `\`${setting.shown}\``;
}

/** .env.example: every setting, commented out, with its default. */
export function envExample(): string {
  const sections = Object.entries(SETTING_GROUPS).map(([title, group]) => {
    const lines = (Object.values(group) as Setting<unknown>[]).map(
      (setting) => `${comment(setting)}\n# ${setting.name}=${exampleOf(setting)}`,
    );
    return `# --- ${title} ---\n\n${lines.join('\n\n')}`;
  });
  return `# Settings of Sibyl. Copy to .env and take the # away where a default does not suit. docs/settings.md has them as tables.
# Made by \`npm run generate\`; a test compares it with the code.

${sections.join('\n\n')}
`;
}

function comment(setting: Setting<unknown>): string {
  return `# ${setting.meaning.replace(/`/g, '')} (${setting.type.replace(/`/g, '')})`;
}

function exampleOf(setting: Setting<unknown>): string {
  return setting.shown.includes('`') || setting.shown.includes(';') ? '' : setting.shown;
}
