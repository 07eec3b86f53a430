"""Operations on streams, a file each; a stage is a stream that reads another."""
