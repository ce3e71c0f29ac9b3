// One layout for all pages.

export function page(title: string, lines: string[]): string {
  const items = lines.map((line) => `<li>${line}</li>`).join("");
  return `<!doctype html><title>${escape(title)}</title><h1>${escape(title)}</h1><ul>${items}</ul>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
