using Mqtt5.Storage;
using Mqtt5.Storage.Files;

namespace Mqtt5.Cli;

/// <summary>Looks into a store.</summary>
internal static class StoreVerb
{
    /// <summary>Does what is requested.</summary>
    public static async Task<int> RunAsync(StoreRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        try
        {
            var folder = new StoreFolder(Path.GetFullPath(request.Directory));

            if (request.Action != "backup" && request.Target is not null)
                throw new UsageException($"TARGET: {request.Action} takes none");

            switch (request.Action)
            {
                case "check":
                    return await CheckAsync(folder, terminal);
                case "info":
                    foreach (var (name, value) in StoreInspection.Info(folder))
                        await terminal.Output.WriteLineAsync(FormattableString.Invariant($"{name} {value}"));

                    return ExitCode.WellFormed;
                case "backup":
                    var target = request.Target ?? throw new UsageException("TARGET: the folder for the copy is missing");
                    await Task.Run(() => StoreCopy.Make(folder, new StoreFolder(Path.GetFullPath(target)), cancellationToken), cancellationToken);
                    return ExitCode.WellFormed;
                default:
                    await using (var output = new BufferedStream(terminal.OpenOutput()))
                        await StoreInspection.ExportAsync(folder, output, cancellationToken);

                    return ExitCode.WellFormed;
            }
        }
        catch (UsageException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
        catch (MqttStoreException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.Fault;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return ExitCode.Fault;
        }
    }

    private static async Task<int> CheckAsync(StoreFolder folder, Terminal terminal)
    {
        var count = 0;

        foreach (var problem in StoreInspection.Problems(folder).Take(StoreInspection.MostProblems))
        {
            count++;
            await terminal.Output.WriteLineAsync(problem);
        }

        if (count > 0)
            return ExitCode.Fault;

        await terminal.Output.WriteLineAsync("sound");
        return ExitCode.WellFormed;
    }
}
