import { rules } from './rules.ts';
import { variableNames, variables, type VariableName } from './variables.ts';

const groups = [...new Set(variableNames.map((name) => variables[name].group))];
const inGroup = (group: string): VariableName[] => variableNames.filter((name) => variables[name].group === group);
const example = (name: VariableName): string | undefined => {
  const row: { readonly example?: string } = variables[name];
  return row.example;
};

/** The text of `.env.example`: what has a default stands with it, what has none stands commented out with an example. */
export function renderEnvExample(): string {
  const lines = [
    '# Made from libs/config/src/variables.ts by `node libs/config/src/generate.ts`; a test keeps it equal.',
    '# Empty means unset. Meaning and rules: docs/configuration.md',
    '',
  ];
  for (const group of groups) {
    lines.push(`# ${group}`);
    for (const name of inGroup(group)) {
      const { fallback } = variables[name];
      lines.push(fallback === '' ? `# ${name}=${example(name) ?? ''}` : `${name}=${fallback}`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

/** The text of docs/configuration.md. */
export function renderConfigurationPage(): string {
  const lines = [
    '# Configuration',
    '',
    '<!-- Made from libs/config/src/variables.ts by `node libs/config/src/generate.ts`; a test keeps it equal. -->',
    '',
    'Every process is configured by its environment alone. A variable that is missing or wrong stops the process at its start with one message that names every problem, and exit status 78.',
    'Variables that a process does not use are not looked at. An empty variable counts as unset.',
    '',
  ];
  for (const group of groups) {
    lines.push(`## ${group}`, '', '| Variable | Default | Read by | Meaning |', '|---|---|---|---|');
    for (const name of inGroup(group)) {
      const { fallback, usedBy, about } = variables[name];
      lines.push(`| \`${name}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${usedBy.join(', ')} | ${about} |`);
    }
    lines.push('');
  }
  lines.push(
    '## Rules between variables',
    '',
    ...rules.map((rule) => `- \`${rule.variable}\` ${rule.says} (${rule.services.join(', ')}).`),
    '',
  );
  lines.push(
    '## Making a key',
    '',
    '```sh',
    'KEY=$(openssl rand -hex 32)',
    'printf %s "$KEY" | sha256sum   # its first column goes into API_KEYS as name:sha256hex',
    '```',
    '',
  );
  lines.push(
    'Two hashes under one name are one owner: add the new one, roll the callers over, remove the old one.',
    '',
  );
  return lines.join('\n');
}
