import type { PolicyDocument } from '#contract';

/** A caller that a list of subjects names, and the role through which it does; undefined: by its own name. */
export interface Named {
  readonly subject: string;
  readonly role: string | undefined;
}

/** Everyone whom `subjects` mean, each once, by the own name if by both. `*` stands for itself. */
export function namedBy(subjects: readonly string[], roles: PolicyDocument['roles']): readonly Named[] {
  const found = new Map<string, Named>();
  for (const subject of subjects) if (!subject.startsWith('role:')) found.set(subject, { subject, role: undefined });
  for (const role of subjects.filter((subject) => subject.startsWith('role:')))
    for (const subject of roles[role.slice('role:'.length)] ?? []) if (!found.has(subject)) found.set(subject, { subject, role });
  return [...found.values()];
}
