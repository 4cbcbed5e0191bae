import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { App } from './app.ts';
import { named } from './schemas.ts';

const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const nameSchemas = createJsonSchemaTransformObject({ schemaRegistry: named });

/** Registers the OpenAPI 3.1 document (made from the routes' own schemas) and its page; both without a key, both from this process alone. */
export async function openapi(app: App, options: { publicUrl: string | undefined; version: string }): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'tavus-fleet',
        version: options.version,
        description:
          'Ask for a talking avatar, feed it speech, watch what it does. Errors are RFC 9457 problem+json with a stable `code`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      // Not from the Host header: whoever sends the request would choose what the page calls.
      servers: [{ url: options.publicUrl ?? '/' }],
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'A key whose SHA-256 is in API_KEYS.' },
        },
      },
      security: [{ key: [] }],
      tags: [
        { name: 'conversations', description: 'Start, watch and end conversations' },
        { name: 'live', description: 'What a running conversation is told and tells' },
        { name: 'fleet', description: 'Workers and personas' },
        { name: 'process', description: 'Health and metrics of this process' },
      ],
    },
    transform: createJsonSchemaTransform({ schemaRegistry: named, skipList: [] }),
    transformObject: (document) => withoutUnused(nameSchemas(document)),
  });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    transformStaticCSP: () => DOCS_CSP, // the plugin's own allows styles, fonts and a validator from elsewhere
    // validatorUrl: the page's default is to send the document to a public validator.
    uiConfig: { docExpansion: 'list', deepLinking: true, validatorUrl: null, persistAuthorization: false },
  });
}

type Described = ReturnType<typeof nameSchemas>;

/** Each named schema comes in two forms, as it is sent and as it is answered; the one that no route uses would only puzzle a reader. */
function withoutUnused(document: Described): Described {
  const schemas = 'components' in document ? document.components?.schemas : undefined;
  if (!schemas) return document;
  const used = new Set<string>();
  const follow = (part: unknown): void => {
    for (const [, name] of (JSON.stringify(part) ?? '').matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (name === undefined || used.has(name)) continue;
      used.add(name);
      follow(schemas[name]);
    }
  };
  follow(document.paths);
  for (const name of Object.keys(schemas)) if (!used.has(name)) delete schemas[name];
  return document;
}
