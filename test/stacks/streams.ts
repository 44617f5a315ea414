// Answers that are read as they come.

export type SseEvent = { id: string; event: string; data: string };

/** Every event of a stream of server-sent events that ends by itself. */
export async function sseEvents(response: Response): Promise<SseEvent[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block.trim() !== '' && !block.startsWith(':'))
    .map((block) => {
      const fields = block.split('\n').map((line) => line.split(/: ?(.*)/s).slice(0, 2));
      return Object.fromEntries(fields) as SseEvent;
    });
}

/** Reads the first piece of an answer. */
export async function firstPiece(response: Response): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}
