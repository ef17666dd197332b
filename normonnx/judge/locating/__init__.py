"""Where two models part: by bisection of rewrites, by their tensors, and as files to replay it."""
