interface Machine {
  readonly [state: string]: { readonly [event: string]: string | undefined };
}

/** The grammar's tables as Mermaid diagrams, and its oddities as a list: the text that the README holds. */
export function drawGrammar(
  machines: Record<string, Machine>,
  oddities: Record<string, { text: string; source: string }>,
): string {
  const drawings = Object.entries(machines).map(([name, machine]) => draw(name, machine));
  const listed = Object.entries(oddities).map(
    ([name, { text, source }]) => `- \`${name}\`: ${text}. ${source}`,
  );
  return [...drawings, ...listed].join('\n');
}

function draw(name: string, machine: Machine): string {
  const lines = Object.entries(machine).flatMap(([state, events]) => {
    const to = new Map<string, string[]>();
    for (const [event, next] of Object.entries(events)) {
      if (next !== undefined) to.set(next, [...(to.get(next) ?? []), event]);
    }
    return [...to].map(([next, names]) => `  ${state} --> ${next}: ${names.join(', ')}`);
  });
  return `One ${name}:\n\n\`\`\`mermaid\nstateDiagram-v2\n  [*] --> absent\n${lines.join('\n')}\n\`\`\`\n`;
}
