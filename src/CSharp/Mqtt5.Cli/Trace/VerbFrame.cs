namespace Mqtt5.Cli;

/// <summary>Runs a verb that works until it is told to stop, and turns what cannot be used into an <see cref="ExitCode"/>.</summary>
internal static class VerbFrame
{
    /// <summary>Runs it. The token is set by an interrupt, after which the verb tells what it found.</summary>
    public static async Task<int> RunAsync(Terminal terminal, Func<CancellationToken, Task<int>> run, CancellationToken cancellationToken)
    {
        try
        {
            return await run(cancellationToken);
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Output.FlushAsync(CancellationToken.None);
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return ExitCode.BadUsage;
        }
    }
}
