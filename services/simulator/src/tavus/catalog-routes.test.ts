import { expect, it } from 'vitest';
import { z } from 'zod';
import { testWorld } from '../sim/test-world.ts';

it.each([
  [
    '/v2/personas/pipecat-stream',
    {
      persona_id: 'pipecat-stream',
      pal_id: 'pipecat-stream',
      persona_name: 'Pipecat Stream',
      pal_name: 'Pipecat Stream',
    },
  ],
  ['/v2/pals/pipecat0', { persona_id: 'pipecat0', persona_name: 'Pipecat Echo', pipeline_mode: 'echo' }],
  ['/v2/replicas/r9', { replica_id: 'r9', face_id: 'r9', status: 'completed' }],
  ['/v2/faces/r9', { replica_id: 'r9', face_id: 'r9' }],
  ['/v2/personas?limit=1', { total_count: 4, data: [{ persona_id: 'pipecat-stream' }] }],
  ['/v2/faces', { total_count: 3 }],
])('GET %s', async (url, body) => {
  expect(await testWorld().call('GET', url)).toMatchObject({ status: 200, body });
});

it.each([
  ['/v2/personas/p404', 'Invalid persona_id'],
  ['/v2/pals/p404', 'Invalid pal_id'],
  ['/v2/replicas/p1', 'Invalid replica_uuid'],
  ['/v2/faces/p1', 'Invalid face_id'],
])('GET %s → 400 %s', async (url, error) => {
  const { status, body } = await testWorld().call('GET', url);
  expect([status, body]).toEqual([400, { error }]);
});

it.each([
  { path: '/v2/personas', body: { persona_name: 'Echo', pipeline_mode: 'echo' }, hearing: 'echo' },
  {
    path: '/v2/pals',
    body: {
      pal_name: 'Mic',
      pipeline_mode: 'echo',
      default_face_id: 'r7',
      layers: { transport: { input_settings: { microphone: 'enabled' } } },
    },
    hearing: 'stream',
  },
  {
    path: '/v2/personas',
    body: { persona_name: 'Mic', layers: { transport: { input_settings: { microphone: { isEnabled: true } } } } },
    hearing: 'stream',
  },
])('POST $path makes a persona whose replica hears $hearing', async ({ path, body, hearing }) => {
  const w = testWorld();
  const made = await w.call('POST', path, body);
  expect(made).toMatchObject({
    status: 200,
    body: { persona_id: expect.stringMatching(/^p[0-9a-f]{11}$/), created_at: expect.stringMatching(/\d{6}Z$/) },
  });
  const { persona_id: id } = z.looseObject({ persona_id: z.string() }).parse(made.body);
  await w.create({ persona_id: id });
  await w.clock.pass(500);
  expect(w.replicas.started).toMatchObject([{ hearing, userName: body.persona_name ?? body.pal_name }]);
});

it.each([
  [{}, { error: 'persona_name: required' }],
  [{ persona_name: 'x', default_replica_id: 'p1' }, { error: 'Invalid replica_uuid' }],
  [{ pal_name: 'x', default_face_id: 'p1' }, { error: 'Invalid face_id' }],
])('refuses the persona %o', async (request, body) => {
  expect(await testWorld().call('POST', '/v2/personas', request)).toMatchObject({ status: 400, body });
});
