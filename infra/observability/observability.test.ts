// Dashboard and alerts speak of metrics, labels and runbooks that exist. What they name is looked up in the registry that is exposed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EndReason } from '../../libs/contracts/src/index.ts';
import { browserIncidents, createMetrics, dropReasons } from '../../libs/telemetry/src/metrics.ts';

const read = (...path: string[]): string => readFileSync(join(import.meta.dirname, ...path), 'utf8');
const alerts = read('alerts.yml');
const dashboard = read('grafana/dashboards/fleet.json');
const operations = read('../../docs/operations.md');

/** Prometheus' own words in expressions, and its own metric. */
const notOurs = /^(up|sum|max|min|by|le|rate|increase|histogram_quantile|for)$/;

function expressions(): string[] {
  const inAlerts = [...alerts.matchAll(/expr:(?: >-)?\s+([\s\S]*?)\n\s+(?:for|labels):/g)].map(
    ([, text]) => text ?? '',
  );
  const inDashboard = [...dashboard.matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g)].map(([, text]) =>
    String(JSON.parse(`"${text}"`)),
  );
  return [...inAlerts, ...inDashboard];
}

/** Names of metrics in an expression: what stands outside of braces, brackets, strings and `by (…)`. */
function metricsIn(expression: string): string[] {
  const bare = expression.replaceAll(/"[^"]*"/g, '').replaceAll(/\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)/g, ' ');
  return [...bare.matchAll(/[a-z_][a-z0-9_]*/g)].flatMap(([name]) => (notOurs.test(name) ? [] : [name]));
}

describe('dashboard and alerts', () => {
  it('name metrics that are exposed', async () => {
    const { body } = await createMetrics().expose();
    const types = [...body.matchAll(/^# TYPE (\w+) (\w+)/gm)];
    const exposed = types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
    const named = new Set(expressions().flatMap(metricsIn));
    expect([...named].filter((name) => !exposed.includes(name))).toEqual([]);
    expect([...named].filter((name) => name.startsWith('fleet_')).length).toBeGreaterThan(12);
  });

  it('name label values that occur', () => {
    const known = new Set<string>([...EndReason.options, ...dropReasons, ...browserIncidents]);
    for (const other of ['auth', 'credits', 'free', 'api', 'worker']) known.add(other);
    const values = expressions().flatMap((expression) =>
      [...expression.matchAll(/\w+(?:=~|!~|=|!=)"([^"]*)"/g)].flatMap(([, value]) => value?.split('|') ?? []),
    );
    expect(values.filter((value) => !known.has(value))).toEqual([]);
  });

  it('have a runbook each, which has a page to it', () => {
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) {
      expect(alerts).toContain(`runbook: docs/operations.md#${name.toLowerCase()}`);
      expect(operations).toContain(`\n### ${name}\n`);
    }
  });
});
