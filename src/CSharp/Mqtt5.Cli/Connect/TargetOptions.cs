using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The options of a verb that works on a server: how to connect, or to start one instead; and how to tell.</summary>
internal sealed class TargetOptions
{
    private readonly ConnectionOptions connection = new();
    private readonly Option<bool> embedded = new("--embedded") { Description = "Start a broker in this process, and use it instead of a server.", Arity = ArgumentArity.Zero };
    private readonly Option<bool> json = new("--json", "-J") { Description = "Tell in JSON, as one object.", Arity = ArgumentArity.Zero };

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="hasJson">Whether results can be told in JSON on standard output.</param>
    public void AddTo(Command command, bool hasJson = true)
    {
        command.Options.Add(embedded);

        if (hasJson)
            command.Options.Add(json);

        connection.AddTo(command);
    }

    /// <summary>Whether JSON is asked for.</summary>
    public bool IsJson(ParseResult result) => result.GetValue(json);

    /// <summary>
    /// Runs a verb on the server that was asked for. A connection that fails, and options that cannot be used, are told on
    /// standard error and by the exit code.
    /// </summary>
    public async Task<int> RunAsync(
        ParseResult result,
        Terminal terminal,
        Func<Target, Task<int>> run,
        CancellationToken cancellationToken,
        string? url = null,
        Action<MqttBrokerOptions>? embeddedBroker = null)
    {
        Target? target = null;

        try
        {
            var request = connection.Read(result, url);

            target = await Target.OpenAsync(request, result.GetValue(embedded), embeddedBroker, terminal, cancellationToken);
            return await run(target);
        }
        catch (UsageException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
        catch (ArgumentException exception) when (exception is not ArgumentNullException)
        {
            // The client looks at its options as a whole.
            await terminal.Error.WriteLineAsync($"mqtt5: {ClientOptionNames.Describe(exception)}");
            return ExitCode.BadUsage;
        }
        catch (MqttException failure)
        {
            await TellAsync(ConnectionFailure.Describe(failure, target!.Server));
            return ConnectionFailure.ExitCodeOf(failure);
        }
        catch (Exception failure) when (!(failure is IOException io && StandardOutput.IsClosed(io)) && Failure.Describe(failure) is { } description)
        {
            await TellAsync(description);
            return ExitCode.Fault;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
        finally
        {
            if (target is not null)
                await target.DisposeAsync();
        }

        Task TellAsync(string what) =>
            target is { IsQuiet: true } ? Task.CompletedTask : terminal.Error.WriteLineAsync($"mqtt5: {what}");
    }
}
