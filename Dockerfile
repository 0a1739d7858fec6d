# inrc on a CPU:
#     docker build --build-arg PIP_EXTRA_INDEX_URL=URL -t inrc .
#     docker run --rm -v "$PWD:/work" inrc encode in.mp4 -o out.inrv
# URL is the index of PyTorch's builds for CPUs, which pytorch.org names. Without it, torch brings 7 GB of CUDA.
FROM python:3.12-slim
ARG PIP_EXTRA_INDEX_URL=
COPY pyproject.toml README.md LICENSE constraints.txt /src/
COPY inrcodec /src/inrcodec
COPY bitstream /src/bitstream
RUN pip install --no-cache-dir --constraint /src/constraints.txt /src && rm -r /src
WORKDIR /work
ENTRYPOINT ["inrc"]
