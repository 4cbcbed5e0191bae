import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { App } from './app.ts';
import { World } from './test-world.ts';

const Operation = z.object({
  operationId: z.string(),
  summary: z.string().min(5),
  tags: z.array(z.string()).length(1),
  security: z.array(z.unknown()).optional(),
  responses: z.record(
    z.string(),
    z.object({ description: z.string(), content: z.record(z.string(), z.unknown()).optional() }),
  ),
  requestBody: z.object({ content: z.object({ 'application/json': z.unknown() }) }).optional(),
  parameters: z
    .array(z.object({ name: z.string(), in: z.enum(['path', 'query', 'header']), schema: z.unknown() }))
    .optional(),
});
const Document = z.object({
  openapi: z.string().regex(/^3\.1\./),
  info: z.object({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({
    schemas: z.record(z.string(), z.unknown()),
    securitySchemes: z.record(z.string(), z.unknown()),
  }),
});
type Operation = z.infer<typeof Operation>;

const problemContent = JSON.stringify({
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
});

let app: App;
let text: string;
let operations: { readonly key: string; readonly operation: Operation }[];

beforeAll(async () => {
  app = await new World().app();
  text = (await app.inject('/openapi.json')).body;
  operations = Object.entries(Document.parse(JSON.parse(text)).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ key: `${method.toUpperCase()} ${path}`, operation })),
  );
});
afterAll(() => app.close());

describe('the OpenAPI document', () => {
  it('documents every route that is served, and no other', () => {
    expect(operations.map(({ key }) => key).toSorted()).toEqual([
      'GET /healthz',
      'GET /metrics',
      'GET /readyz',
      'GET /v1/conversations',
      'GET /v1/conversations/{conversationId}',
      'GET /v1/conversations/{conversationId}/audio',
      'GET /v1/conversations/{conversationId}/events',
      'GET /v1/personas/{personaId}',
      'GET /v1/workers',
      'PATCH /v1/conversations/{conversationId}/settings',
      'POST /v1/conversations',
      'POST /v1/conversations/{conversationId}/cancel',
      'POST /v1/conversations/{conversationId}/frames',
      'POST /v1/conversations/{conversationId}/interrupt',
      'POST /v1/conversations/{conversationId}/stop',
      'POST /v1/tavus/callback/{token}',
      'POST /v1/workers/{workerId}/drain',
    ]);
  });

  it('says for each what may come back, errors as problems', () => {
    const wrong = operations.flatMap(({ key, operation }) => {
      const isOpen = operation.security?.length === 0;
      const statuses = new Set(Object.keys(operation.responses));
      const due = [...(isOpen ? [] : ['400', '401', '500', '503']), ...(operation.requestBody ? ['413', '415'] : [])];
      const inPath = (operation.parameters ?? []).filter((each) => each.in === 'path').map((each) => `{${each.name}}`);
      return [
        ...(isOpen === /\/(healthz|readyz|callback\/\{token\})$/.test(key) ? [] : [`${key}: open or not`]),
        ...due.filter((status) => !statuses.has(status)).map((status) => `${key}: ${status} is missing`),
        ...Object.entries(operation.responses)
          .filter(([status, answer]) => Number(status) >= 400 && JSON.stringify(answer.content) !== problemContent)
          .map(([status]) => `${key}: ${status} is no problem`),
        ...((key.match(/\{\w+\}/g) ?? []).join() === inPath.join() ? [] : [`${key}: parameters in path`]),
      ];
    });
    expect(wrong).toEqual([]);
  });

  it('names operations uniquely, and resolves every reference', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const { components } = Document.parse(JSON.parse(text));
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(references.length).toBeGreaterThan(10);
    expect(Object.keys(components.schemas).toSorted()).toEqual([
      'Conversation',
      'FrameInput',
      'JsonInput',
      'Problem',
      'SettingsDeltaInput',
      'StartRequestInput',
      'Worker',
    ]);
    expect(
      references.filter((each) => !Object.hasOwn(components.schemas, each.replace('#/components/schemas/', ''))),
    ).toEqual([]);
  });

  it('shows defaults and limits of a start request', () => {
    const { components } = Document.parse(JSON.parse(text));
    expect(components.schemas['StartRequestInput']).toMatchObject({
      required: ['replicaId'],
      additionalProperties: false,
      properties: {
        personaId: { default: 'pipecat-stream' },
        limits: { properties: { maxDurationSeconds: { default: 3600, maximum: 3600 } } },
      },
    });
  });
});

describe('/docs', () => {
  it('is a page with nothing from elsewhere', async () => {
    const page = await app.inject('/docs/');
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers['content-security-policy']).not.toMatch(/https?:|\./);
    expect([...page.body.matchAll(/(?:src|href)="(https?:)?\/\/[^"]*"/g)]).toEqual([]);
    const assets = [...page.body.matchAll(/(?:src|href)="\.?([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(assets.length).toBeGreaterThan(3);
    const answers = await Promise.all(
      assets.map((asset) => app.inject(new URL(asset, 'http://x/docs/').pathname.replace(/^\/static/, '/docs/static'))),
    );
    expect(answers.map((answer) => answer.statusCode)).toEqual(assets.map(() => 200));
  });
});
