"""Operations on streams, one file for each; a stage is a stream that reads another stream."""
