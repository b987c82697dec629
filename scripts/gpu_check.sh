#!/usr/bin/env bash
# Prove and measure the GPU path on a machine with an NVIDIA device, in one call of less than 8 minutes:
#
#   OUT=gpu_check scripts/gpu_check.sh [RUN]
#
# RUN is a finished run of a video; by default .gpu/run, which scripts/gpu_prepare.py packs together with the wheels and
# kernels that a bare machine without a network lacks. OUT receives gpu_check.json, summary.txt, log.txt and images.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
OUT=${OUT:-gpu_check}
RUN=${1:-.gpu/run}
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=passive

# What `pip install` would lay out, without building anything, in a folder of its own.
install_packed() {
  SITE=$(mktemp -d)
  "$PYTHON" -m pip install -q --no-index --no-deps --target "$SITE" .gpu/wheels/*.whl || return 1
  cp -r avatar "$SITE/" && rm -rf "$SITE/avatar/viewer"
  ln -s "$PWD/viewer" "$SITE/avatar/viewer" && ln -s "$PWD/configs" "$SITE/avatar/configs"
  ln -s "$PWD/assets" "$SITE/avatar/shipped"
  export PYTHONPATH=$SITE NUMBA_CACHE_DIR=$SITE/numba
  local packed
  for packed in .gpu/csrc*.so.gz; do
    [ -e "$packed" ] && gunzip -c "$packed" >"$SITE/gsplat/$(basename "$packed" .gz)"
  done
  # Kernels of another torch, Python or device do not load: gsplat then compiles its own.
  "$PYTHON" -c "import torch; from gsplat import csrc" 2>/dev/null || rm -f "$SITE"/gsplat/csrc*.so
}

main() {
  command -v nvidia-smi >/dev/null &&
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader
  if [ -d .gpu/wheels ]; then install_packed || return 1; fi
  "$PYTHON" scripts/gpu_check.py --run "$RUN" --out "$OUT"
}
main 2>&1 | tee "$OUT/log.txt"
exit "${PIPESTATUS[0]}"
