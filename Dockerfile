# CamDrop Lab for a class, on a host with 2 CPUs and 16 GB (see README.md, "A class"):
#   docker build -t camdrop . && docker run -p 8501:8501 --cpus 2 --memory 16g -v camdrop:/data camdrop
FROM python:3.12-slim AS build
RUN python -m venv /opt/camdrop
ENV PATH=/opt/camdrop/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The build of PyTorch for the CPU alone: a tenth of the one with CUDA.
RUN pip install --index-url https://download.pytorch.org/whl/cpu 'torch>=2.6,<3' 'torchvision>=0.21,<1'
WORKDIR /source
COPY . .
RUN pip install '.[app]'

FROM python:3.12-slim
RUN useradd --create-home --uid 1000 camdrop && install --directory --owner camdrop /data
COPY --from=build /opt/camdrop /opt/camdrop
USER camdrop
WORKDIR /home/camdrop
# Runs and data sets go to /data/camdrop.
ENV PATH=/opt/camdrop/bin:$PATH XDG_DATA_HOME=/data CAMDROP_SHARED=1 CAMDROP_MAX_MEMORY=12
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8501/_stcore/health', timeout=3)"]
CMD ["camdrop", "app", "--headless"]
