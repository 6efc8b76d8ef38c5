import * as z from 'zod';
import type { ActionRow } from '../format/action-row.ts';
import { readActions } from '../format/actions-file.ts';
import { readText } from './file.ts';
import { type Problem, pathText } from './problem.ts';
import { readYaml } from './yaml.ts';

/** The path of a file with a table of actions; parses to its rows. A problem in the file is reported with its place there. */
export const actionsFile = z
  .string()
  .min(1)
  .transform((path, context): readonly ActionRow[] => {
    const read = readText(path);
    if (!read.ok) {
      context.addIssue({ code: 'custom', message: `the file ${read.message}` });
      return z.NEVER;
    }
    const { rows, problems } = parseActions(read.text, path);
    for (const problem of problems) context.addIssue({ code: 'custom', message: problem.message, params: { problem } });
    return rows;
  });

/** The problem in another file that this issue represents. */
export function problemElsewhere(issue: z.core.$ZodIssue): Problem | undefined {
  return issue.code === 'custom' ? issue.params?.['problem'] : undefined;
}

function parseActions(text: string, file: string): { rows: readonly ActionRow[]; problems: readonly Problem[] } {
  const { value, locate, problems: found, unknown } = readYaml(text, file, undefined, []);
  if (unknown.some((path) => path.length === 0)) return { rows: [], problems: found };
  const { rows, problems } = readActions(value);
  const ownProblems = problems
    .filter(({ path }) => !unknown.some((unknownPath) => unknownPath.every((step, at) => path[at] === step)))
    .map(({ path, message, part }): Problem => ({ ...locate(path, part), path: pathText(path), message }));
  return { rows, problems: [...found, ...ownProblems] };
}
