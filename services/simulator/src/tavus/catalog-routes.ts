import type { FastifyInstance } from 'fastify';
import { isReplicaId, personaBody, replicaBody, stockReplicas, type Catalog } from './catalog.ts';
import { tavusErrors } from './errors.ts';
import { parseCreatePersona, parseListQuery } from './requests.ts';
import { microsecondTime } from './time.ts';

type WithId = { Params: { id: string } };

const pageOf = <T>(all: readonly T[], query: unknown): { data: readonly T[]; total_count: number } => {
  const { limit, page } = parseListQuery(query);
  return { data: all.slice((page - 1) * limit, page * limit), total_count: all.length };
};

/** `/v2/personas|pals…` and `/v2/replicas|faces…`: the same things under their old and new names. */
export function catalogRoutes(app: FastifyInstance, catalog: Catalog): void {
  for (const [path, idField] of [
    ['/personas', 'persona_id'],
    ['/pals', 'pal_id'],
  ] as const) {
    app.get(path, async (request, reply) => reply.send(pageOf(catalog.personas().map(personaBody), request.query)));

    app.get<WithId>(`${path}/:id`, async (request, reply) => {
      const persona = catalog.persona(request.params.id);
      if (persona === undefined) throw tavusErrors.personaId(idField);
      return reply.send(personaBody(persona));
    });

    app.post(path, async (request, reply) => {
      const persona = catalog.addPersona(parseCreatePersona(request.body));
      return reply.send({
        persona_id: persona.id,
        pal_id: persona.id,
        persona_name: persona.name,
        pal_name: persona.name,
        created_at: microsecondTime(persona.createdAt),
      });
    });
  }

  for (const [path, idField] of [
    ['/replicas', 'replica_id'],
    ['/faces', 'face_id'],
  ] as const) {
    app.get(path, async (request, reply) => reply.send(pageOf(stockReplicas().map(replicaBody), request.query)));

    app.get<WithId>(`${path}/:id`, async (request, reply) => {
      if (!isReplicaId(request.params.id)) throw tavusErrors.replicaId(idField);
      return reply.send(replicaBody(request.params.id));
    });
  }
}
