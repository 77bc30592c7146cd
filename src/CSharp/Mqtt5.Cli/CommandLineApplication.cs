using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The <c>mqtt5</c> command as a function of its arguments and its streams.</summary>
internal static class CommandLineApplication
{
    /// <summary>Runs the command and returns its <see cref="ExitCode"/>. Nothing is thrown.</summary>
    public static async Task<int> RunAsync(string[] arguments, Terminal terminal)
    {
        try
        {
            var root = new RootCommand("Tools for MQTT 5.")
            {
                DecodeCommand.Create(terminal),
                BrokerCommand.Create(terminal),
                PasswordCommand.Create(terminal),
            };

            // A file of arguments is a feature that nobody asked for, and @ may stand in a file name.
            var result = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });

            if (result.Errors.Count > 0)
            {
                foreach (var error in result.Errors)
                {
                    await terminal.Error.WriteLineAsync($"mqtt5: {error.Message}");
                }

                var command = result.CommandResult.Command == root ? "mqtt5" : $"mqtt5 {result.CommandResult.Command.Name}";
                await terminal.Error.WriteLineAsync($"'{command} --help' tells more.");
                return ExitCode.BadUsage;
            }

            var exitCode = await result.InvokeAsync(new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
            });

            await terminal.Output.FlushAsync();
            return exitCode;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Fault;
        }
#pragma warning disable CA1031 // The process ends here; a person reads the message, not the stack.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            await terminal.Error.WriteLineAsync($"mqtt5: this is a defect of mqtt5: {exception.GetType().Name}: {exception.Message}");
            return ExitCode.Defect;
        }
    }
}
