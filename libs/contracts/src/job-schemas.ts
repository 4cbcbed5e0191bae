import { z } from 'zod';
import { frameClass, JsonFrame, type FrameType } from './frames.ts';
import { jobs, type JobName } from './jobs.ts';

// Safe: both are literals of this package whose keys are exactly these names.
const jobNames = Object.keys(jobs) as JobName[];
const frameTypes = Object.keys(frameClass) as FrameType[];

/**
 * JSON Schemas (draft 2020-12) for those who are not TypeScript: file name → text. Jobs as a producer writes them (what has a
 * default may be left out), frames as `POST /v1/conversations/{id}/frames` takes them. What only code can say (`jpeg` allows
 * 5 frames a second, where rooms may be) is not in them: the worker parses again.
 */
export function jobSchemas(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const name of jobNames) {
    const { queue, data } = jobs[name];
    files.set(`${name}.schema.json`, render(`Data of the job \`${name}\` in the queue \`${queue}\``, data));
  }
  for (const type of frameTypes)
    files.set(`frame-${type}.schema.json`, render(`The frame \`${type}\` as JSON`, jsonFrame(type)));
  return files;
}

/** The member of the union that this type is, with just this type. */
function jsonFrame(type: FrameType): z.ZodType {
  const member = JsonFrame.options.find((option) => option.shape.type.safeParse(type).success);
  if (!member) throw new Error(`JsonFrame has no member for ${type}.`);
  return z.strictObject({ ...member.shape, type: z.literal(type) });
}

function render(title: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}
