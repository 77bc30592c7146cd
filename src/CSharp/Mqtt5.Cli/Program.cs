using Mqtt5.Cli;

using var output = new StreamWriter(StandardOutput.Open());
var console = new Terminal(Console.OpenStandardInput, Console.IsInputRedirected, output, Console.Error)
{
    IsOutputRedirected = Console.IsOutputRedirected,
};
return await CommandLineApplication.RunAsync(args, console);
