namespace Mqtt5.Cli;

/// <summary>Opens the input of <c>mqtt5 decode</c> and turns what comes of it into an <see cref="ExitCode"/>.</summary>
internal static class DecodeVerb
{
    /// <summary>Decodes what the request names.</summary>
    public static async Task<int> RunAsync(DecodeRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var decoder = new PacketDecoder(request, terminal.Output);

        try
        {
            await using var stream = Open(request, terminal);
            var format = request.Hex.Count > 0 ? InputFormat.Raw : request.Format;
            var reader = await InputReader.OpenAsync(stream, format, SourceOf(request), cancellationToken);
            await decoder.RunAsync(reader, cancellationToken);

            if (decoder.IsEmpty)
            {
                throw new UsageException($"{SourceOf(request)}: there are no bytes to decode");
            }
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            // The reader of the output has closed it.
        }
        catch (UsageException exception)
        {
            await terminal.Output.FlushAsync(cancellationToken);
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return ExitCode.BadUsage;
        }

        return decoder.HasFault ? ExitCode.Fault : ExitCode.WellFormed;
    }

    private static bool IsStandardInput(DecodeRequest request) => request.File is null or "-";

    private static string SourceOf(DecodeRequest request) =>
        request.Hex.Count > 0 ? "arguments" : IsStandardInput(request) ? "standard input" : request.File!;

    private static Stream Open(DecodeRequest request, Terminal terminal)
    {
        if (request.Hex.Count > 0)
        {
            return new MemoryStream(InputReader.FromArguments(request.Hex), writable: false);
        }

        if (IsStandardInput(request))
        {
            return terminal.OpenInput();
        }

        if (request.File!.Length == 0 || request.File.Contains('\0', StringComparison.Ordinal))
        {
            throw new UsageException("--file: this cannot be the name of a file");
        }

        try
        {
            return new FileStream(request.File, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0, useAsync: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{request.File}: {exception.Message}");
        }
    }
}
