# A small image of one static binary, run by a user without rights.
#
#   docker build --build-arg COMMIT="$(git rev-parse HEAD)" -t kahuna .
#   docker run -p 127.0.0.1:6379:6379 -v kahuna:/data kahuna
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG COMMIT=""
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X kahuna/version.commit=${COMMIT}" -o /out/kahuna . \
 && mkdir /out/data \
 && echo 'kahuna:x:65532:65532::/data:/nonexistent' > /out/passwd \
 && echo 'kahuna:x:65532:' > /out/group

FROM scratch
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /out/kahuna /kahuna
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
# Inside a container loopback is the container's own: clients come from outside it. The peer listener stays on loopback until
# there are other nodes; then set KAHUNA_PEER_LISTEN. Protected mode would refuse all of them: publish the port to loopback only, as
# above, or set KAHUNA_REQUIREPASS.
ENV KAHUNA_DATA_DIR=/data \
    KAHUNA_LISTEN=0.0.0.0:6379 \
    KAHUNA_CLUSTER_LISTEN=0.0.0.0:6380 \
    KAHUNA_ADMIN_LISTEN=0.0.0.0:6382 \
    KAHUNA_PROTECTED_MODE=false \
    KAHUNA_LOG_FORMAT=json
VOLUME /data
EXPOSE 6379 6380 6381 6382
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/kahuna", "ping"]
ENTRYPOINT ["/kahuna"]
CMD ["server"]
