import type { ConfigProblem } from './config-error.ts';
import { isLoopbackHost, isLoopbackUrl } from './loopback.ts';
import type { Service, Values, VariableName } from './variables.ts';

type Rule = {
  readonly variable: VariableName;
  readonly services: readonly Service[];
  readonly broken: (values: Values) => boolean;
  readonly says: string;
};

const tavusIsLoopback = (values: Values): boolean => isLoopbackUrl(values.TAVUS_BASE_URL);
/** Keys and tokens travel on it: encrypted, or on this machine, or where the operator said that nobody listens. */
const isSafe = (values: Values, url: string): boolean =>
  url.startsWith('https:') || isLoopbackUrl(url) || isNamed(values, url);
const isNamed = (values: Values, url: string): boolean => values.PLAIN_HTTP_HOSTS.includes(new URL(url).hostname);

/** What must hold between variables, in the operator's words. One row per rule; the words stand in docs/configuration.md too. */
export const rules: readonly Rule[] = [
  {
    variable: 'FLEET_ID',
    services: ['api', 'worker'],
    broken: (values) => values.FLEET_ID === undefined && !tavusIsLoopback(values),
    says: 'is required unless TAVUS_BASE_URL is loopback',
  },
  {
    variable: 'TAVUS_API_KEY',
    services: ['api', 'worker'],
    broken: (values) => values.TAVUS_API_KEY === undefined && !tavusIsLoopback(values),
    says: 'is required unless TAVUS_BASE_URL is loopback',
  },
  {
    variable: 'API_KEYS',
    services: ['api'],
    broken: (values) => values.API_KEYS.reveal().length === 0 && !isLoopbackHost(values.API_HOST),
    says: 'is required unless API_HOST is loopback',
  },
  {
    variable: 'USER_ROOM_HOSTS',
    services: ['api', 'worker'],
    broken: (values) =>
      !tavusIsLoopback(values) &&
      values.USER_ROOM_HOSTS.some((entry) => entry.startsWith('http:') && !isNamed(values, entry)),
    says: 'may hold http:// origins only while TAVUS_BASE_URL is loopback, or of PLAIN_HTTP_HOSTS',
  },
  {
    variable: 'TAVUS_BASE_URL',
    services: ['api', 'worker', 'cli'],
    broken: (values) => !isSafe(values, values.TAVUS_BASE_URL),
    says: 'must be https unless its host is loopback or in PLAIN_HTTP_HOSTS',
  },
  {
    variable: 'DAILY_BUNDLE_URL',
    services: ['worker'],
    broken: (values) => values.DAILY_BUNDLE_URL !== undefined && !isSafe(values, values.DAILY_BUNDLE_URL),
    says: 'must be https unless its host is loopback or in PLAIN_HTTP_HOSTS',
  },
  {
    variable: 'WEBHOOKS',
    services: ['api'],
    broken: ({ WEBHOOKS, API_KEYS }) =>
      WEBHOOKS.reveal().some(({ name }) => !API_KEYS.reveal().some((key) => key.name === name)),
    says: 'may name keys of API_KEYS only',
  },
  {
    variable: 'WEBHOOKS',
    services: ['api'],
    broken: ({ WEBHOOKS, WEBHOOK_NETWORKS }) =>
      WEBHOOKS.reveal().some(({ url }) => isLoopbackUrl(url)) &&
      !WEBHOOK_NETWORKS.some((network) => network.startsWith('127.') || network.startsWith('::1/')),
    says: 'may go to loopback only while WEBHOOK_NETWORKS holds it',
  },
  {
    variable: 'SIMULATOR_HOST',
    services: ['simulator'],
    broken: (values) => !isLoopbackHost(values.SIMULATOR_HOST) && values.SIMULATOR_ALLOWED_HOSTS.length === 0,
    says: 'must be loopback unless SIMULATOR_ALLOWED_HOSTS is set',
  },
];

/** The broken rules among those whose variables could be read; a variable that is malformed has said so already. */
export function brokenRules(service: Service, values: Values): ConfigProblem[] {
  return rules
    .filter((rule) => rule.services.includes(service) && rule.broken(values))
    .map((rule) => ({ variable: rule.variable, problem: rule.says }));
}
