using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Starting;

/// <summary>What a person gets who runs the program for the first time, and for the second.</summary>
public sealed class FirstStartTests : IDisposable
{
    private const string AnyPort = "http://127.0.0.1:0";
    private const string KeyLine = @"^  API key    (\S+)$";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_banner_says_all_that_a_client_needs()
    {
        await using var gateway = GatewayRun.Start(_folder.Path, "--urls", AnyPort);

        var address = await gateway.WaitUntilListeningAsync();
        Assert.Equal($"{address}event", await gateway.WaitForLineAsync(@"^  HTTP       (\S+)$"));
        Assert.Equal($"ws://{address.Authority}/event/realtime", await gateway.WaitForLineAsync(@"^  WebSocket  (\S+)$"));
        Assert.Equal("default", await gateway.WaitForLineAsync(@"^  Namespaces (.+)$"));
        Assert.Matches("^da2-[a-z0-9]{26}$", await gateway.WaitForLineAsync(KeyLine));
    }

    [Fact]
    public async Task Without_any_option_it_listens_on_port_8080_and_keeps_its_key_in_the_working_directory()
    {
        Assert.SkipWhen(IsTaken(8080), "Something else listens on port 8080.");
        await using var gateway = GatewayRun.Start(_folder.Path);

        Assert.Equal(8080, (await gateway.WaitUntilListeningAsync()).Port);
        Assert.True(File.Exists(_folder[".fanfare/identity.json"]), "the data folder lacks identity.json");
    }

    [Fact]
    public async Task The_printed_curl_line_publishes_when_a_shell_runs_it()
    {
        await using var gateway = GatewayRun.Start(_folder.Path, "--urls", AnyPort);
        var line = await gateway.WaitForLineAsync("^  (curl .+)$");

        var answer = JsonNode.Parse(await RunInShellAsync(line))!;

        Assert.Single(answer["successful"]!.AsArray());
        Assert.Empty(answer["failed"]!.AsArray());
    }

    [Fact]
    public async Task The_printed_wscat_line_carries_credentials_that_connect_and_subscribe()
    {
        await using var gateway = GatewayRun.Start(_folder.Path, "--urls", AnyPort);
        var address = await gateway.WaitUntilListeningAsync();
        var protocol = await gateway.WaitForLineAsync("wscat .* -s (header-[A-Za-z0-9_-]+) ");
        var subscribe = await gateway.WaitForLineAsync("wscat .* -x '([^']+)'");

        var endPoint = new IPEndPoint(IPAddress.Loopback, address.Port);
        await using var socket = await RawWebSocket.ConnectAsync(
            endPoint, Handshake.WithProtocols($"{Credentials.EventsProtocol}, {protocol}"));
        await socket.SendAsync(subscribe);
        await socket.NextAsync("subscribe_success", "1");
        await RunInShellAsync(await gateway.WaitForLineAsync("^  (curl .+)$"));
        Assert.Equal("""{"text":"Hello"}""", await socket.NextEventAsync("1"));
    }

    [Fact]
    public async Task The_key_survives_a_restart_and_another_folder_has_another()
    {
        var first = await ReadKeyAsync("--data", _folder["one"]);

        Assert.Equal(first, await ReadKeyAsync("--data", _folder["one"]));
        Assert.NotEqual(first, await ReadKeyAsync("--data", _folder["two"]));
    }

    [Fact]
    public async Task Two_gateways_that_start_at_once_on_an_empty_folder_agree_on_the_key()
    {
        string[] arguments = ["--urls", AnyPort, "--data", _folder["shared"]];
        await using var one = GatewayRun.Start(_folder.Path, arguments);
        await using var two = GatewayRun.Start(_folder.Path, arguments);

        Assert.Equal(await one.WaitForLineAsync(KeyLine), await two.WaitForLineAsync(KeyLine));
        Assert.Equal(["identity.json"], Directory.GetFileSystemEntries(_folder["shared"]).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Only_the_owner_may_read_the_key_file()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("File modes are a matter of Unix.");
            return;
        }

        await ReadKeyAsync("--data", _folder["data"]);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["data/identity.json"]));
    }

    [Fact]
    public async Task A_key_on_the_command_line_wins_over_the_kept_one()
    {
        Assert.Equal("my-own-key", await ReadKeyAsync("--data", _folder["data"], "--api-key", "my-own-key"));
        Assert.Matches("^da2-", await ReadKeyAsync("--data", _folder["data"]));
    }

    [Fact]
    public async Task The_environment_configures_what_the_command_line_does_not()
    {
        (string, string)[] environment = [("Fanfare__ApiKey", "from-environment"), ("ASPNETCORE_URLS", AnyPort)];
        await using var gateway = GatewayRun.Start(_folder.Path, environment);
        await using var overridden = GatewayRun.Start(_folder.Path, environment, "--api-key", "from-command-line");

        Assert.NotEqual(8080, (await gateway.WaitUntilListeningAsync()).Port);
        Assert.Equal("from-environment", await gateway.WaitForLineAsync(KeyLine));
        Assert.Equal("from-command-line", await overridden.WaitForLineAsync(KeyLine));
    }

    [Fact]
    public async Task Outputs_of_a_template_name_the_port_that_the_system_chose()
    {
        var template = _folder.Write("stack.yaml", """
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: outputs
                  EventConfig:
                    AuthProviders: [{AuthType: API_KEY}]
                    ConnectionAuthModes: [{AuthType: API_KEY}]
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
                    DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
              Chat: {Type: AWS::AppSync::ChannelNamespace, Properties: {ApiId: !GetAtt Api.ApiId, Name: chat}}
            Outputs:
              Http: {Value: !GetAtt Api.Dns.Http}
            """);
        await using var gateway = GatewayRun.Start(_folder.Path, "--urls", AnyPort, "--template", template);

        var address = await gateway.WaitUntilListeningAsync();
        Assert.EndsWith(address.Authority, await gateway.WaitForLineAsync(@"^  \S+\.Http = (\S+)$"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_lists_every_option_and_starts_nothing()
    {
        var result = await GatewayRun.ToEndAsync(_folder.Path, "--help");

        Assert.Equal(0, result.ExitCode);
        Assert.Empty(result.Errors);
        var help = string.Join('\n', result.Output);
        string[] options = ["--template", "--api-key", "--data", "--urls", "--help", "--version", "--Section:Key=value"];
        Assert.All(options, option => Assert.Contains(option, help, StringComparison.Ordinal));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Version_prints_a_version_and_starts_nothing()
    {
        var result = await GatewayRun.ToEndAsync(_folder.Path, "--version");

        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+", Assert.Single(result.Output));
        Assert.Empty(result.Errors);
    }

    private static bool IsTaken(int port) => System.Net.NetworkInformation.IPGlobalProperties.GetIPGlobalProperties()
        .GetActiveTcpListeners().Any(endPoint => endPoint.Port == port);

    private static async Task<string> RunInShellAsync(string line)
    {
        Assert.SkipUnless(
            (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "curl"))),
            "curl is not installed.");
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-c", line]) { RedirectStandardOutput = true })!;
        var output = await Deadline.WaitAsync(async token => await shell.StandardOutput.ReadToEndAsync(token), $"the output of {line}");
        await Deadline.WaitAsync(async token => await shell.WaitForExitAsync(token), $"the end of {line}");
        Assert.Equal(0, shell.ExitCode);
        return output;
    }

    private async Task<string> ReadKeyAsync(params string[] arguments)
    {
        await using var gateway = GatewayRun.Start(_folder.Path, ["--urls", AnyPort, .. arguments]);
        return await gateway.WaitForLineAsync(KeyLine);
    }
}
