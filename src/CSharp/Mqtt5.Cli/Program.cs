using Mqtt5.Cli;

// With room for a screen, so that what is drawn over on a terminal is seen as a whole and not in pieces.
var output = new StreamWriter(StandardOutput.Open(), bufferSize: 32 * 1024);
var terminal = new Terminal(() => new StandardInput(), Console.IsInputRedirected, output, new ErrorWriter(ErrorStream.Open()))
{
    IsOutputRedirected = Console.IsOutputRedirected,
    ConfigurationFolder = ConfigurationFile.UserFolder,
};
var called = ProcessArguments.Read(args);
return await CommandLineApplication.RunAsync(called.Arguments, terminal, called.Name);
