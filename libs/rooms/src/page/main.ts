// Order matters: this remembers peer connections from before daily-js and the call machine exist.
import './connections.ts';
import type { Hello } from '../wire.ts';
import { PageSession } from './session.ts';

let started = false;

// Called over the debugging pipe with the session's token as an argument; once.
Object.assign(globalThis, {
  tavusFleet: {
    async start(hello: Hello): Promise<void> {
      if (started) throw new Error('This page has its session.');
      started = true;
      await new PageSession(hello).start();
    },
  },
});
