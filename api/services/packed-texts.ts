// Texts that are kept until they are read again, zipped: a part of cases then takes a fraction of
// the memory, of which a Worker has 128 MB for all that it does at once.

export type PackedTexts = {
  add: (text: string) => Promise<void>;
  /** The texts in order, one at a time. */
  all: () => AsyncGenerator<string>;
};

export function packedTexts(): PackedTexts {
  const packed: Blob[] = [];
  return {
    add: async (text) => {
      packed.push(await through(new Blob([text]), new CompressionStream('gzip')).blob());
    },
    all: async function* () {
      for (const one of packed) yield await through(one, new DecompressionStream('gzip')).text();
    },
  };
}

function through(blob: Blob, transform: CompressionStream | DecompressionStream): Response {
  return new Response(blob.stream().pipeThrough(transform));
}
