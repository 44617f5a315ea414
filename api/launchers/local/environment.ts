// What a trainer on this machine gets of the service's own environment: what finds programs,
// libraries and GPUs. The rest may be secrets, whose names nobody can list; what else a trainer
// needs stands in `environment` of its target.

const names = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'HOSTNAME', 'TERM', 'LANG', 'LANGUAGE', 'TZ'],
  ...['TMPDIR', 'TEMP', 'TMP', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'VIRTUAL_ENV'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS', 'CW_THREADS'],
]);

const families =
  /^(LC|XDG|CUDA|NVIDIA|TF|XLA|TORCH|PYTORCH|OMP|GOMP|KMP|MKL|OPENBLAS|NUMEXPR|CONDA|nnUNet)_/;

/** The part of an environment that trainers inherit. */
export function inherited(
  environment: Record<string, string | undefined>,
): Record<string, string | undefined> {
  const kept = Object.entries(environment).filter(
    ([name]) => names.has(name) || families.test(name),
  );
  return Object.fromEntries(kept);
}
