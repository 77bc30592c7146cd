using System.Buffers;
using System.IO.Pipelines;

namespace Mqtt5.Transports;

// A pipe in front of a writer that must not be written to while it flushes.
internal sealed class OutputRelay
{
    private readonly Pipe pipe = new(new PipeOptions(useSynchronizationContext: false));
    private readonly Task relaying;

    public OutputRelay(PipeWriter target) => relaying = RelayAsync(target);

    public PipeWriter Writer => pipe.Writer;

    // Completes when all that was written is in the target, or cannot be any more.
    public async Task CompleteAsync()
    {
        await pipe.Writer.CompleteAsync().ConfigureAwait(false);
        await relaying.ConfigureAwait(false);
    }

    private async Task RelayAsync(PipeWriter target)
    {
        try
        {
            while (true)
            {
                var result = await pipe.Reader.ReadAsync().ConfigureAwait(false);

                foreach (var segment in result.Buffer)
                    target.Write(segment.Span);

                pipe.Reader.AdvanceTo(result.Buffer.End);
                var flush = await target.FlushAsync().ConfigureAwait(false);

                if (result.IsCompleted || flush.IsCompleted)
                    break;
            }

            await pipe.Reader.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            // The writer sees that the reader has completed.
            await pipe.Reader.CompleteAsync(failure).ConfigureAwait(false);
        }
    }
}
